"""Lets the next extract try failed videos again, after their cause was fixed."""

from dflib.cli.job import main
from dflib.steps.retry import STEP

if __name__ == "__main__":
    main(STEP)
