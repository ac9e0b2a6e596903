"""Makes an alias, such as champion, stand for a model."""

from dflib.cli.job import main
from dflib.steps.promote import STEP

if __name__ == "__main__":
    main(STEP)
