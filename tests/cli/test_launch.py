"""Exit codes and output of drivers here and on a cluster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dflib.cli import launch

HOME = Path(__file__).parents[2]
YARN = "diagnostics: User application exited with status {}\n"


@pytest.mark.parametrize(
    ("code", "text", "kubernetes", "expected"),
    [
        (0, "", False, 0),
        (1, YARN.format(1), False, 1),
        (1, YARN.format(1) + YARN.format(3), False, 3),
        (1, "no word of a driver", False, 1),
        # A word of an attempt that failed before one that ended well.
        (0, YARN.format(1), False, 0),
        (0, "exit code: 0\n", True, 0),
        (0, "exit code: 0\nexit code: 1\n", True, 1),
        (0, "", True, 1),
        (2, "", True, 2),
    ],
)
def test_driver_code(code: int, text: str, kubernetes: bool, expected: int) -> None:
    assert launch.driver_code(code, text, kubernetes) == expected


def test_follow_returns_the_code_of_the_driver_and_names_its_log(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys; print('summary'); "
        "print('WARNING: Using incubator modules: x', file=sys.stderr); "
        "print('Submitted application_17_0001', file=sys.stderr); "
        "print('User application exited with status 4', file=sys.stderr); sys.exit(1)"
    )
    assert launch.follow([sys.executable, "-c", script], os.environ, verbose=False, kubernetes=False) == 4
    out, err = capfd.readouterr()
    assert out == "summary\n"
    assert err.splitlines() == [
        "Submitted application_17_0001",
        "User application exited with status 4",
        "dflib: exit code 4; the driver's output: yarn logs -applicationId application_17_0001",
    ]


def test_follow_returns_128_plus_the_signal() -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert launch.follow([sys.executable, "-c", script], os.environ, verbose=False, kubernetes=False) == 137


BECOME = "import os, sys; from dflib.cli import launch; launch.become(sys.argv[2:], os.environ, sys.argv[1] == 'v')"
NOISY = """
import sys, time
print("WARNING: Using incubator modules: x", file=sys.stderr)
print("WARN that matters", file=sys.stderr)
print("ready", flush=True)
time.sleep(float(sys.argv[1]))
print("last", file=sys.stderr)
sys.exit(5)
"""


def start(verbose: bool, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", BECOME, "v" if verbose else "q", sys.executable, "-c", NOISY, str(seconds)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env={**os.environ, "PYTHONPATH": str(HOME)}, **pipes)


@pytest.mark.parametrize("verbose", [False, True])
def test_become_keeps_the_exit_code_and_drops_noise_only(verbose: bool) -> None:
    process = start(verbose, 0)
    out, err = process.communicate(timeout=60)
    noise = ["WARNING: Using incubator modules: x"] if verbose else []
    assert (process.returncode, out) == (5, "ready\n")
    assert err.splitlines() == [*noise, "WARN that matters", "last"]


def test_become_passes_signals_to_the_command() -> None:
    process = start(False, 60)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM and time.monotonic() - begun < 30
    assert err == "WARN that matters\n"
