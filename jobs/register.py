"""register: names for all tables, and views beside them, in the metastore."""

from dflib.config import Config
from dflib.errors import ConfigError
from dflib.steps.job import Job, Summary, main
from dflib.tables import names


def check(config: Config) -> None:
    if config.tables.metastore == "none":
        raise ConfigError(
            "tables.metastore=none: there is nowhere to register; set it to embedded, postgres or external"
        )


def run(job: Job) -> Summary:
    database = job.config.tables.database
    found = names.possible(job.tables) if job.dry_run else names.register(job.tables, database, move=True, renew=True)
    counts = {"tables": len(found.tables), "views": len(found.views)}
    listed = "\n".join(f"{what:8}{' '.join(each)}" for what, each in (("tables", found.tables), ("views", found.views)))
    done = "would be" if job.dry_run else "are"
    line = f"{counts['tables']} tables and {counts['views']} views {done} named in database {database}"
    return Summary(f"{line} of the {job.config.tables.metastore} metastore", counts, listed)


if __name__ == "__main__":
    main("register", run, check, makes_schema=True)
