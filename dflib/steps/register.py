"""register: names of all tables, and the views, in the metastore."""

from dflib.config import Config
from dflib.errors import ConfigError
from dflib.runtime import session
from dflib.steps.step import Context, Step, Summary
from dflib.tables import names
from dflib.tables.store import Tables


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when the configuration has no metastore."""
    if config.tables.metastore == "none":
        raise ConfigError(
            "tables.metastore=none: there is nowhere to register; set it to embedded, postgres or external"
        )


def run(context: Context) -> Summary:
    tables = context.config.tables
    if context.dry_run:
        found = names.possible(context.tables)
    else:
        by_name = Tables(session.with_names(context.spark), tables.root, context.storage, context.run_id)
        found = names.register(by_name, tables.database, move=True, renew=True)
    counts = {"tables": len(found.tables), "views": len(found.views)}
    text = "\n".join(f"{kind:8}{' '.join(each)}" for kind, each in (("tables", found.tables), ("views", found.views)))
    line = (
        f"{counts['tables']} tables and {counts['views']} views {'would be' if context.dry_run else 'are'} named in "
        f"database {tables.database} of the {tables.metastore} metastore"
    )
    return Summary(line, counts, text)


STEP = Step("register", run, check, creates_metastore=True)
