"""Ingest: chunk zips, folders of videos and folders of ready-cut crops become rows. Nothing is decoded."""

import dataclasses

from dflib.config import Config
from dflib.sources.ingest import check, ingest
from dflib.steps.job import Job, Summary, main


def run(job: Job) -> Summary:
    result = ingest(job.tables, job.storage, job.config.sources, job.run_id, job.progress, job.dry_run)
    return Summary(result.line(), dataclasses.asdict(result))


def check_sources(config: Config) -> None:
    check(config.sources)


if __name__ == "__main__":
    main("ingest", run, check_sources, alone=True)
