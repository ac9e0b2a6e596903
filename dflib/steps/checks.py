"""checks: what must be true of the tables."""

from dflib.checks import evaluate
from dflib.steps.step import Context, Step, Summary
from dflib.tables.schemas import ALIASES, CHECKS, EXTRACTIONS, FACES, FRAMES, PREDICTIONS, VIDEOS


def run(context: Context) -> Summary:
    results = evaluate.evaluate(context.tables, context.config.checks)
    if not context.dry_run:
        evaluate.write(context.tables, results, context.run_id)
    outcomes = {
        outcome: [result.name for result in results if result.outcome == outcome]
        for outcome in (evaluate.PASSED, evaluate.UNMEASURED, evaluate.WARNED, evaluate.FAILED)
    }
    line = (
        ", ".join(f"{len(checks)} {outcome}" for outcome, checks in outcomes.items() if checks) or "no checks are set"
    )
    found = [result for result in results if result.outcome in (evaluate.WARNED, evaluate.FAILED)]
    attention = tuple(
        f"check {result.name} {result.outcome}" + ("" if result.value is None else f": {result.value:.4g}")
        for result in found
    )
    return Summary(
        line,
        {"checks": {outcome.lower(): checks for outcome, checks in outcomes.items()}},
        "\n".join(result.line for result in results),
        attention,
    )


STEP = Step(
    "checks",
    run,
    # Not verdicts: the report after the checks writes them, and would make the next night check again.
    reads=(VIDEOS, EXTRACTIONS, FRAMES, FACES, PREDICTIONS, ALIASES),
    writes=(CHECKS,),
    settings=("checks",),
    needs_tables=True,
)
