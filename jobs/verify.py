"""Checks a bundle of explain, and a video file against it."""

from dflib.cli.job import main
from dflib.steps.verify import STEP

if __name__ == "__main__":
    main(STEP)
