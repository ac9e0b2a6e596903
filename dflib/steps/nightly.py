"""nightly: ingests, extracts, scores, checks and reports what is new, for a scheduler."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from dflib.checks import evaluate
from dflib.errors import DflibError
from dflib.reporting import night
from dflib.scoring import publish
from dflib.steps import checks, extract, ingest, report, score
from dflib.steps.step import Argument, Context, Job, Outcome, Summary


def conclude(context: Context, outcomes: Sequence[Outcome]) -> Summary:
    """The summary of a night, also as JSON in ``nightly.summary``; it fails when a step did.

    Its counts are: ``outcome`` (DONE, ATTENTION or FAILED), ``attention``, ``held_videos``, ``tables`` (the new version
    of each table that changed) and ``steps``.
    """
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    attention = [text for outcome in outcomes if outcome.summary for text in outcome.summary.attention]
    if any(outcome.step == checks.STEP.name and outcome.run_id is None for outcome in outcomes):
        still = evaluate.failures(context.tables, context.config.checks)
        attention += [f"check {name} still fails" for name in still]
    held = publish.held_videos(context.tables)
    if held:
        attention.append(f"the verdicts of {held:,} videos are held: run release, or promote another model")
    counts: dict[str, Any] = {
        "outcome": _outcome(failed, attention),
        "attention": attention,
        "held_videos": held,
        "tables": {
            name: version
            for name, version in context.tables.versions().items()
            if context.versions_before.get(name) != version
        },
        "steps": {outcome.step: _counts(outcome) for outcome in outcomes},
    }
    if not context.dry_run and (attention or failed or any(outcome.run_id for outcome in outcomes[1:])):
        # Ingest always looks; a night in which nothing else ran leaves its run record only.
        try:
            counts["page"] = _page(context, counts)
        except DflibError as error:
            attention.append(f"the page of the night can't be written: {error}")
            counts["outcome"] = _outcome(failed, attention)
    parts = [f"{outcome.step} {_state(outcome)}" for outcome in outcomes]
    if attention:
        parts.append(f"look at: {'; '.join(attention)}")
    target = context.config.nightly.summary
    if target is not None and not context.dry_run:
        content = {"run_id": context.run_id, "code_version": context.code_version, **counts}
        context.storage.write(target, json.dumps(content, default=str, indent=2).encode())
    return Summary(
        "; ".join(parts),
        counts,
        attention=tuple(attention),
        failed=f"failed: {', '.join(outcome.step for outcome in failed)}" if failed else "",
    )


def _outcome(failed: Sequence[Outcome], attention: Sequence[str]) -> str:
    return "FAILED" if failed else "ATTENTION" if attention else "DONE"


def _page(context: Context, counts: dict[str, Any]) -> str:
    started = night.started_at(context.run_id)
    found = night.collect(
        *(context.tables, context.storage, context.config.report, counts),
        *(context.run_id, context.code_version, started),
    )
    return night.publish(context.storage, context.config.reports.root, found)


def _state(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"FAILED ({outcome.error})"
    return "nothing new" if outcome.summary is None else "done"


def _counts(outcome: Outcome) -> dict[str, Any]:
    state = "FAILED" if outcome.error is not None else "UNCHANGED" if outcome.summary is None else "DONE"
    summary = outcome.summary or Summary("")
    return {
        "outcome": state,
        "run_id": outcome.run_id,
        "error": outcome.error,
        "line": summary.line,
        "counts": summary.counts,
        "remaining": summary.remaining,
    }


JOB = Job(
    "nightly",
    (
        ingest.STEP,
        dataclasses.replace(extract.STEP, run=extract.run_within_budget),
        score.STEP,
        checks.STEP,
        report.STEP,
    ),
    keep_going=True,
    skip_unchanged=True,
    exclusive=True,
    conclude=conclude,
    arguments=(
        Argument("--summary", "nightly.summary", "file for the summary as JSON", required=False),
        Argument(
            "--since",
            "extract.since",
            "backfill: extract and score only videos ingested since this date",
            required=False,
            also=("score.since",),
        ),
        Argument(
            "--model",
            "score.model",
            "backfill: score and report this model, by model_id or alias",
            required=False,
            also=("report.model",),
        ),
        Argument(
            "--extractor",
            "score.extractor",
            "backfill: score and report only faces of this extractor",
            required=False,
            also=("report.extractor",),
        ),
    ),
)
