"""Starts spark-submit: as this process when the driver runs here, beside it when the driver runs on the cluster."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from dflib.cli import quiet


def become(command: Sequence[str], environment: Mapping[str, str], verbose: bool) -> NoReturn:
    """Replaces this process by the command; its standard error passes :mod:`dflib.cli.quiet` unless ``verbose``.

    The JVM keeps this process's id, so signals and exit codes are its own.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if not verbose:
        source, target = os.pipe()
        with os.fdopen(source, "rb") as reading:
            # A child of the JVM to come; it ends when the last process that can write to the pipe has ended.
            subprocess.Popen([sys.executable, "-I", "-S", quiet.__file__], stdin=reading, stdout=subprocess.DEVNULL)
        os.dup2(target, 2)
        os.close(target)
    os.execve(command[0], list(command), dict(environment))


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
