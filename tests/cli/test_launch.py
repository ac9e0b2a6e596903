"""Exit codes and output of drivers here and on a cluster."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil
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


BECOME = """
import json, os, sys
from dflib.cli import launch
options = json.loads(sys.argv[1])
launch.become(sys.argv[2:], os.environ, "job", options["verbose"], options["folders"], options["has_driver"])
"""
NOISY = """
import os, signal, sys, time
print("WARNING: Using incubator modules: x", file=sys.stderr)
print("WARN that matters", file=sys.stderr)
print("ready", os.environ["SPARK_LOCAL_DIRS"], os.getpid(), flush=True)
time.sleep(float(sys.argv[1]))
print("last", file=sys.stderr)
sys.exit(5)
"""
DRIVER = """
import os, signal, subprocess, sys, time
from pathlib import Path

if len(sys.argv) == 1:  # the JVM, which the driver is a child of
    sys.exit(subprocess.run([sys.executable, __file__, "driver"]).returncode)

from dflib.runtime import interruption
try:
    with interruption.raised():
        print("ready", flush=True)
        time.sleep(60)
except interruption.Interrupted as stopped:
    time.sleep(1)
    print(f"ended in order: {stopped}", flush=True)
    sys.exit(stopped.code)
"""


def start(
    folder: Path,
    *command: str,
    verbose: bool = False,
    has_driver: bool = False,
    group: bool = False,
    stderr: int = subprocess.PIPE,
    before: Callable[[], object] | None = None,
) -> "subprocess.Popen[str]":
    options = {"verbose": verbose, "folders": [str(folder)], "has_driver": has_driver}
    return subprocess.Popen(
        [sys.executable, "-c", BECOME, json.dumps(options), sys.executable, *command],
        text=True, stdout=subprocess.PIPE, stderr=stderr, start_new_session=group,
        preexec_fn=lambda: (signal.signal(signal.SIGHUP, signal.SIG_DFL), before and before()),
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )  # fmt: skip


def ready(process: "subprocess.Popen[str]") -> list[str]:
    """The words of the command's first line."""
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words[:1] == ["ready"], process.communicate(timeout=30)
    return words


@pytest.mark.parametrize("verbose", [False, True])
def test_become_keeps_the_exit_code_and_drops_noise_only(tmp_path: Path, verbose: bool) -> None:
    process = start(tmp_path, "-c", NOISY, "0", verbose=verbose)
    out, err = process.communicate(timeout=60)
    noise = ["WARNING: Using incubator modules: x"] if verbose else []
    assert (process.returncode, out.split()[0]) == (5, "ready")
    assert err.splitlines() == [*noise, "WARN that matters", "last"]


def test_temporary_files_lie_in_a_private_folder_that_is_removed(tmp_path: Path) -> None:
    process = start(tmp_path, "-c", NOISY, "1")
    folder = Path(ready(process)[1])
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
    process.communicate(timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_a_killed_run_are_removed_by_a_later_one(tmp_path: Path) -> None:
    killed = start(tmp_path, "-c", NOISY, "60")
    child = int(ready(killed)[2])
    killed.kill()
    killed.communicate(timeout=60)
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    (left,) = tmp_path.iterdir()
    start(tmp_path, "-c", NOISY, "0").communicate(timeout=60)
    assert list(tmp_path.iterdir()) == [left], "it may be about to lock it"
    os.utime(left, (0, 0))
    busy = start(tmp_path, "-c", NOISY, "60")
    own = Path(ready(busy)[1])
    assert list(tmp_path.iterdir()) == [own]
    os.utime(own, (0, 0))
    start(tmp_path, "-c", NOISY, "0").communicate(timeout=60)
    assert list(tmp_path.iterdir()) == [own], "it is in use"
    busy.terminate()
    busy.communicate(timeout=60)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_tool_without_a_driver_gets_the_signal_itself(tmp_path: Path) -> None:
    process = start(tmp_path, "-c", NOISY, "60")
    ready(process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert err == "WARN that matters\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_a_signal_reaches_the_driver_once_and_not_the_jvm(tmp_path: Path, number: signal.Signals, group: bool) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    (tmp_path / "local").mkdir()
    process = start(tmp_path / "local", str(script), has_driver=True, group=group)
    ready(process)
    (os.killpg if group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (128 + number, f"ended in order: stopped by {number.name}\n", "")
    assert list((tmp_path / "local").iterdir()) == []


def test_a_closed_terminal_ends_the_driver_in_order(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(
        DRIVER.replace("    time.sleep(1)", "    print('x' * 70 + '\\n', file=sys.stderr, flush=True)\n" * 2000)
    )
    (tmp_path / "local").mkdir()
    terminal, inner = pty.openpty()
    process = start(
        tmp_path / "local", str(script), has_driver=True, group=True, stderr=inner,
        before=lambda: fcntl.ioctl(inner, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(inner)
    ready(process)
    os.close(terminal)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (128 + signal.SIGHUP, "ended in order: stopped by SIGHUP\n")
    assert list((tmp_path / "local").iterdir()) == []


@pytest.mark.parametrize("has_driver", [False, True])
def test_a_job_below_nohup_outlives_its_terminal(tmp_path: Path, has_driver: bool) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.replace("time.sleep(60)", "time.sleep(1)"))
    process = start(
        tmp_path, *([str(script)] if has_driver else ["-c", NOISY, "1"]), has_driver=has_driver, group=True,
        before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    ready(process)
    os.killpg(process.pid, signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == (0 if has_driver else 5)


def test_a_second_signal_ends_the_driver_at_once(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.replace("time.sleep(1)", "time.sleep(60)"))
    process = start(tmp_path, str(script), has_driver=True)
    ready(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "job: stopped by SIGINT at once\n")


def test_a_signal_before_the_driver_is_there_ends_the_jvm(tmp_path: Path) -> None:
    process = start(tmp_path, "-c", NOISY, "60", has_driver=True)
    ready(process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.splitlines()[-1]) == (143, "job: stopped by SIGTERM before it began")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_temporary_files_is_made(tmp_path: Path) -> None:
    process = start(tmp_path / "not" / "yet", "-c", NOISY, "0")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 5 and out.split()[1].startswith(f"{tmp_path}/not/yet/")


def test_a_folder_for_temporary_files_that_can_not_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for variable, setting in (("", "spark.local.dir or TMPDIR"), ("/x", "SPARK_LOCAL_DIRS")):
        monkeypatch.setenv("SPARK_LOCAL_DIRS", variable)
        process = start(tmp_path / "file" / "x", "-c", NOISY, "0")
        _, err = process.communicate(timeout=30)
        assert process.returncode == 1 and err.count("\n") == 1
        assert err.startswith(f"job: {tmp_path}/file/x: Not a directory; ") and f"({setting})" in err
