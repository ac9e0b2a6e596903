"""Ingests, extracts, scores and reports what is new; for a scheduler. Exit code 3: done, but somebody should look."""

from dflib.cli.job import main_of
from dflib.steps.nightly import JOB

if __name__ == "__main__":
    main_of(JOB)
