"""Shows the chain from the bytes of a video to its verdict, and computes it again with --replay."""

from dflib.cli.job import main
from dflib.steps.explain import STEP

if __name__ == "__main__":
    main(STEP)
