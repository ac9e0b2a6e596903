"""What the files of jobs/ call: a job of one or several steps, submitted from the command line or run as the driver."""

import argparse
import base64
import logging
import sys
from pathlib import Path

from dflib.config import load as conf_files
from dflib.errors import ConfigError
from dflib.runtime import session
from dflib.runtime.runs import code_version
from dflib.steps.runner import Application, run
from dflib.steps.step import Step, Summary


def main(*steps: Step, name: str | None = None) -> None:
    """Runs a job from the command line and exits.

    There are two ways to call a job. With the options for people, it prints the arguments for spark-submit, one a
    line, and last the argument for the second way, ``--application``, which runs the steps on Spark.

    Args:
        steps: run in order, in one Spark application.
        name: the job's name; that of its step when there is only one.
    """
    job = name or steps[0].name
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("dflib").setLevel(logging.INFO)
    arguments = _parser(job).parse_args()
    if arguments.application is not None:
        application = Application.model_validate_json(base64.b64decode(arguments.application))
        sys.exit(run(job, steps, application))
    try:
        config = conf_files.load(arguments.conf_dir, arguments.env, arguments.set)
        for step in steps:
            step.check(config)
        creates_metastore = any(step.creates_metastore for step in steps)
        submit = session.submit_arguments(
            config, arguments.conf_dir, arguments.env, creates_metastore, arguments.deploy_mode
        )
        session.make_event_folder(config)
    except ConfigError as error:
        print(f"{job}: {error}", file=sys.stderr)
        sys.exit(2)
    application = Application(config=config, code_version=code_version(), dry_run=arguments.dry_run)
    # Encoded because YARN replaces two closing braces in an argument.
    encoded = base64.b64encode(application.model_dump_json().encode()).decode()
    print("\n".join([*submit, f"--application={encoded}"]))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"spark-submit.sh {name}", allow_abbrev=False)
    parser.add_argument("--env", default="local", help="environment: conf/env/<env>.yml")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="a.b=c",
        help="sets values over those of the files; takes several, and may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="reports what would be done and does nothing")
    parser.add_argument(
        "--deploy-mode",
        choices=["client", "cluster"],
        help="where the driver runs: on this machine or on the cluster; default: as in conf/spark",
    )
    parser.add_argument("--conf-dir", type=Path, default=Path(__file__).parents[2] / "conf", help=argparse.SUPPRESS)
    parser.add_argument("--application", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    # For spark-submit.sh sql, thrift and history, which need the same settings but run no job.
    main(Step("sql", lambda context: Summary("nothing to do")))
