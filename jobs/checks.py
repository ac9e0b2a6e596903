"""Checks what must be true of the tables; the results are in the table checks."""

from dflib.cli.job import main
from dflib.steps.checks import STEP

if __name__ == "__main__":
    main(STEP)
