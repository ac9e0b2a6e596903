"""forget: videos leave all tables, files and pages for good."""

from dflib.config import Config
from dflib.errors import ConfigError, DflibError, TableError
from dflib.operations import status
from dflib.steps import report
from dflib.steps.step import Argument, Context, Step, Summary
from dflib.tables.schemas import PUBLICATIONS
from dflib.upkeep import forget
from dflib.upkeep.search import search


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when no video or no reason is named."""
    if not config.forget.videos or not config.forget.reason:
        raise ConfigError(
            "forget.videos, forget.reason: name both, as in 'forget dfdc/abofeumbvv --why \"request 17\"'"
        )
    reports = f"{config.reports.root}/"
    inside = [config.tables.root, config.models.root, *config.sources.chunks, *config.sources.crops]
    for uri in inside:
        if f"{uri}/".startswith(reports):
            raise ConfigError(
                f"reports.root={config.reports.root}: {uri} lies below it, and forget deletes what there names a "
                "forgotten video; keep reports in a folder of their own"
            )


def run(context: Context) -> Summary:
    config, wanted = context.config, context.config.forget
    assert wanted.reason is not None
    if not context.dry_run:
        _refuse_beside_others(context)
    subject = forget.find(context.tables, wanted.videos, wanted.with_fakes)
    if subject.wanted.pattern.search(wanted.reason):
        raise ConfigError("forget.reason: it is kept, and names a video that is to be forgotten; leave the name out")
    text = "\n".join(f"trained on them: {model}; train it again without them, or retire it" for model in subject.models)
    named = f"{len(subject.videos):,} videos ({len(subject.videos) - subject.named:,} of them fakes of the others)"
    if context.dry_run:
        line = (
            f"{named} with {len(subject.wanted.images):,} images would be removed from all tables and their "
            f"history, and from {len(subject.training_sets):,} training sets"
        )
        return Summary(line, text=text)
    done = forget.forget(
        *(context.tables, context.storage, subject, config.reports.root, wanted.reason, context.submitted_by),
        context.run_id,
    )
    had_pages = done.files or not context.tables.read(PUBLICATIONS).isEmpty()
    unmade = _make_pages(context) if had_pages else ""
    roots = sorted({config.tables.root, config.reports.root, config.models.root})
    searched = search(context.spark, context.storage, roots, subject.wanted)
    if searched.found:
        raise TableError(
            f"{len(searched.found):,} files still name a forgotten video or hold an image of one, such as "
            f"{', '.join(searched.found[:5])}; delete them and run forget again"
        )
    rows = {name: count for name, count in done.rows.items() if count}
    line = (
        f"{named} removed: {sum(rows.values()):,} rows, {len(done.files):,} files of reports, {done.records:,} run "
        f"records; {searched.files:,} files ({searched.bytes / 1e6:,.1f} MB) below {', '.join(roots)} searched for "
        f"{len(subject.wanted.names):,} names and {len(subject.wanted.images):,} images, "
        f"nothing of them is left{unmade}"
    )
    counts = {
        "videos": len(subject.videos),
        "rows": rows,
        "training_sets": list(subject.training_sets),
        "models": list(subject.models),
        "files_deleted": len(done.files),
        "records": done.records,
        "files_searched": searched.files,
    }
    return Summary(line, counts, text, failed=unmade)


def _make_pages(context: Context) -> str:
    """Makes the pages of the rows that are left; those that named a video are gone.  Returns why it can't be done."""
    try:
        report.run(context)
    except DflibError as error:
        # The videos are gone all the same, and the search must follow.
        return f"; but the report pages, which are gone too, can't be made again: {error}; then run report"
    return ""


def _refuse_beside_others(context: Context) -> None:
    """Raises :class:`TableError` when another job runs: its uncommitted files would be deleted."""
    for record in status.running(context.storage, context.config.tables.root):
        if record["run_id"] != context.run_id:
            raise TableError(
                f"{context.config.tables.root}: {record['run_id']} is running; forget deletes files that are not "
                "committed yet. Run it when no other job runs"
            )


STEP = Step(
    forget.NAME,
    run,
    check,
    exclusive=True,
    # Of other jobs their run record says that they run.
    not_beside=("ingest", "extract", "report", "nightly"),
    arguments=(
        Argument("VIDEO", "forget.videos", "video_ids", is_list=True),
        Argument("--why", "forget.reason", "why, for the table forgotten"),
        Argument("--with-fakes", "forget.with_fakes", "and the fakes made from them", required=False, is_flag=True),
    ),
    needs_tables=True,
)
