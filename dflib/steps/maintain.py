"""maintain: joins small files and removes what nobody needs any more."""

import dataclasses

from dflib.steps.step import Context, Step, Summary
from dflib.upkeep.maintain import maintain


def run(context: Context) -> Summary:
    done = maintain(context.tables, context.storage, context.config.maintain, context.dry_run)
    lines = [
        f"{table.name}: {table.small_files:,} small files, {table.old_files:,} files of old versions "
        f"({table.old_bytes / 1e6:,.1f} MB)"
        + (f", CHECK constraints {', '.join(table.constraints)}" if table.constraints else "")
        for table in done.tables
    ]
    if done.unused_sets:
        lines.append(
            f"{len(done.unused_sets):,} training sets that no model names ({done.unused_set_bytes / 1e6:,.1f} MB) are "
            f"left: {', '.join(done.unused_sets[:5])}"
        )
    lines += done.violated
    verb = ("would be joined", "would be freed") if context.dry_run else ("joined", "freed")
    line = (
        f"{sum(table.small_files for table in done.tables):,} small files {verb[0]}, {done.freed / 1e6:,.1f} MB "
        f"{verb[1]}: {sum(table.old_files for table in done.tables):,} files of versions older than "
        f"{context.config.maintain.keep_days:g} days, {done.staging_files:,} leftovers of killed runs, "
        f"{done.records:,} run records"
    )
    failed = f"{len(done.violated)} tables hold rows that violate a CHECK constraint" if done.violated else ""
    return Summary(f"{line}; {failed}" if failed else line, dataclasses.asdict(done), "\n".join(lines), failed=failed)


STEP = Step("maintain", run, exclusive=True, needs_tables=True)
