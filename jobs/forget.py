"""Removes videos from all tables, files and pages for good, and keeps them from coming back."""

from dflib.cli.job import main
from dflib.steps.forget import STEP

if __name__ == "__main__":
    main(STEP)
