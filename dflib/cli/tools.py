"""Tools of Spark that run with the configuration of jobs: SQL, the Thrift server and the history server."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from dflib.cli import installation, launch
from dflib.cli.options import Options, parse
from dflib.cli.submit import Submission, checked, environment
from dflib.config import Config
from dflib.errors import ConfigError
from dflib.runtime import metastore, session

TOOLS = {
    "sql": 'Queries the tables by name, with Spark SQL: -- -e "SELECT …".',
    "thrift": "Serves the tables to JDBC clients until it is stopped (sql.host, sql.port).",
    "history": "Shows the event logs of jobs as web pages (monitoring.event_log).",
}


def run(name: str, arguments: Sequence[str]) -> NoReturn:
    """Starts a tool in place of this process; exits with 2 on a bad configuration."""
    # On this machine, whatever the environment's properties file says.
    options = replace(parse(name, TOOLS[name], arguments), deploy_mode="client")
    _, submission = checked(name, options, lambda config: check(name, config))
    variables = environment(submission, os.environ)
    if name == "history":
        # Its pages ask for no password.
        variables.setdefault("SPARK_LOCAL_IP", session.LOOPBACK)
    launch.become(command(name, submission, options), variables, name, options.verbose, submission.folders)


def check(name: str, config: Config) -> None:
    """Raises :class:`ConfigError` when the tool can't use the configuration."""
    if name == "history" and config.monitoring.event_log is None:
        raise ConfigError("set the folder of the event logs: --set monitoring.event_log=FOLDER")
    if name in ("sql", "thrift"):
        metastore.check_names(config)


def command(name: str, submission: Submission, options: Options) -> list[str]:
    """The command line of a tool."""
    folder = installation.spark_home() / "bin"
    arguments, spark = submission.arguments, options.spark
    if name == "sql":
        header = ("--conf", "spark.sql.cli.print.header=true")
        return [str(folder / "spark-sql"), *arguments, *header, "-S", *spark]
    submit = [str(folder / "spark-submit"), *arguments]
    if name == "thrift":
        server = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
        return [*submit, "--name", "dflib thrift", *spark, "--class", server, "spark-internal"]
    server = "org.apache.spark.deploy.history.HistoryServer"
    return [*submit, *spark, "--class", server, "spark-internal"]
