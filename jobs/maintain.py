"""Joins small files, and removes versions, leftovers and run records that nobody needs any more."""

from dflib.cli.job import main
from dflib.steps.maintain import STEP

if __name__ == "__main__":
    main(STEP)
