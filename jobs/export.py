"""Writes a table as CSV or Parquet, or the challenge's submission.csv."""

from dflib.cli.job import main
from dflib.steps.export import STEP

if __name__ == "__main__":
    main(STEP)
