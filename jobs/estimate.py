"""Estimates how long extracting the remaining videos takes on a cluster, from an earlier run."""

from dflib.cli.job import main
from dflib.steps.estimate import STEP

if __name__ == "__main__":
    main(STEP)
