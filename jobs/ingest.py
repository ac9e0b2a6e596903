"""Lists the videos and ready-cut crops of the configured sources; decodes nothing."""

from dflib.cli.job import main
from dflib.steps.ingest import STEP

if __name__ == "__main__":
    main(STEP)
