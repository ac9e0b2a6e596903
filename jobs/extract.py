"""Finds the faces of the videos that have not been looked at yet."""

from dflib.config import Config
from dflib.extraction import sampling
from dflib.extraction.extract import extract
from dflib.parts import catalog
from dflib.steps.job import Job, Summary, main


def run(job: Job) -> Summary:
    """Decode, detect and crop what the ledger lacks."""
    result = extract(job.tables, job.storage, job.config, job.run_id, job.progress, job.dry_run)
    return Summary(result.line, result.counts)


def check(config: Config) -> None:
    """Refuses a sampling that asks for nothing, and a detector whose package is not there."""
    sampling.check(config.sampling.frames)
    catalog.DETECTORS.check_installed(config.faces.detector)


if __name__ == "__main__":
    main("extract", run, check, alone=True)
