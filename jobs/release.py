"""Makes the held verdicts current, and reports them."""

from dflib.cli.job import main
from dflib.steps import release, report

if __name__ == "__main__":
    main(release.STEP, report.STEP, name="release")
