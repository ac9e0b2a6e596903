"""Trains a network on the labelled faces."""

from dflib.cli.job import main
from dflib.steps.train import STEP

if __name__ == "__main__":
    main(STEP)
