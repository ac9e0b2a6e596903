"""Shows what is done, what failed, what runs and when it will be over; changes nothing."""

from dflib.cli.job import main
from dflib.steps.status import STEP

if __name__ == "__main__":
    main(STEP)
