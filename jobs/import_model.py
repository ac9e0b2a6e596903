"""Imports published weights as a model."""

from dflib.cli.job import main
from dflib.steps.import_model import STEP

if __name__ == "__main__":
    main(STEP)
