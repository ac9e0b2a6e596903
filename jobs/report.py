"""Judges the scored videos, computes metrics and writes one page a model."""

from dflib.cli.job import main
from dflib.steps.report import STEP

if __name__ == "__main__":
    main(STEP)
