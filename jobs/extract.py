"""Finds and crops the faces of the videos that have not been extracted yet."""

from dflib.cli.job import main
from dflib.steps.extract import STEP

if __name__ == "__main__":
    main(STEP)
