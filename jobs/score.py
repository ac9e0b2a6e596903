"""Scores each face that has no prediction of the model yet."""

from dflib.cli.job import main
from dflib.steps.score import STEP

if __name__ == "__main__":
    main(STEP)
