"""What the files of ``jobs/`` call: a job of one or several steps."""

import logging
import sys
from pathlib import Path

from dflib.cli import submit
from dflib.steps.runner import run
from dflib.steps.step import Job, Step


def main(*steps: Step, name: str | None = None) -> None:
    """Runs steps as a job from the command line and exits.

    Args:
        steps: run in order, in one Spark application; a failed step ends the job.
        name: the job's name; default: the name of its only step.
    """
    if name is None:
        (step,) = steps
        name = step.name
    main_of(Job(name, steps))


def main_of(job: Job) -> None:
    """Runs a job from the command line and exits.

    A job's file is run twice: by the ``dflib`` command, which submits it, and by spark-submit as the driver. The
    driver is recognised by its one argument, which carries the whole configuration.
    """
    script = sys.modules["__main__"]
    arguments = sys.argv[1:]
    if len(arguments) == 1 and arguments[0].startswith(submit.APPLICATION):
        application = submit.decoded(arguments[0].removeprefix(submit.APPLICATION))
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        logging.getLogger("dflib").setLevel(logging.INFO)
        sys.exit(run(job, application))
    submit.job(Path(sys.argv[0]), job, script.__doc__ or "", arguments)
