"""Registers all tables and views in the metastore, for SQL by name."""

from dflib.cli.job import main
from dflib.steps.register import STEP

if __name__ == "__main__":
    main(STEP)
