"""Starts spark-submit: in place of this process when the driver runs here, beside it when it runs on the cluster."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import dflib
from dflib.cli import quiet
from dflib.runtime import interruption


def become(
    command: Sequence[str],
    environment: Mapping[str, str],
    name: str,
    verbose: bool,
    folders: Sequence[str],
    has_driver: bool = False,
) -> NoReturn:
    """Replaces this process by one that supervises the command (:mod:`dflib.cli.supervise`).

    It keeps this process's id. Its exit code is that of the command, or 128 and the number of a signal.

    Args:
        name: of the job or tool, for messages.
        verbose: whether known noise on standard error is shown, too.
        folders: where Spark's temporary files may lie; each run gets folders of its own below them.
        has_driver: whether the command runs a driver in Python, which handles signals.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    variable = interruption.DRIVER_FILE if has_driver else None
    options = {
        "name": name,
        "verbose": verbose,
        "folders": [*folders],
        "driver_variable": variable,
        "hangup_variable": interruption.HANGUP,
    }
    # Without site-packages: it starts at once and stays small.
    start = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from dflib.cli import supervise; sys.exit(supervise.main())"
    )
    root = str(Path(dflib.__file__).parent.parent)
    os.execve(
        sys.executable,
        [sys.executable, "-I", "-S", "-c", start, root, json.dumps(options), *command],
        dict(environment),
    )


def follow(command: Sequence[str], environment: Mapping[str, str], verbose: bool, kubernetes: bool) -> int:
    """Runs the command of a driver on a cluster to its end and returns the driver's exit code."""
    lines: list[str] = []
    process = subprocess.Popen(command, env=dict(environment), stderr=subprocess.PIPE)
    assert process.stderr is not None

    def forward(number: int, frame: object) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, forward)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            for line in process.stderr:
                text = line.decode(errors="replace")
                lines.append(text)
                if verbose or not quiet.is_noise(line):
                    sys.stderr.write(text)
                    sys.stderr.flush()
        code = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    text = "".join(lines)
    code = driver_code(code if code >= 0 else 128 - code, text, kubernetes)
    applications = re.findall(r"application_\d+_\d+", text)
    if applications:
        print(
            f"dflib: exit code {code}; the driver's output: yarn logs -applicationId {applications[-1]}",
            file=sys.stderr,
        )
    return code


def driver_code(code: int, text: str, kubernetes: bool) -> int:
    """The exit code of a driver on a cluster, out of what spark-submit printed.

    spark-submit itself ends with 1 for any failed driver on YARN, and with 0 for any driver on Kubernetes (the latter
    was not run). Kubernetes' driver is taken for failed when no exit code of its container is printed.

    Args:
        code: of spark-submit.
        text: its standard error.
    """
    yarn = re.findall(r"User application exited with status (\d+)", text)
    if code != 0 and yarn:
        code = int(yarn[-1])
    if kubernetes and code == 0:
        container = re.findall(r"exit code: (\d+)", text)
        code = int(container[-1]) if container else 1
    return code
