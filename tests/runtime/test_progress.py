"""Progress on a terminal and in a log."""

import io
import os
import pty
import sys

import pytest

from dflib.runtime.progress import Progress, ProgressState, terminal


def test_progress_writes_lines_to_a_log() -> None:
    stream = io.StringIO()
    progress = Progress(stream, every=0.0)
    progress.start("videos", 200)
    progress.set(50)
    progress.finish()
    line = stream.getvalue()
    assert line.startswith("videos: 50 of 200 done, ")
    assert line.count("\n") == 1


def test_progress_draws_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pty.openpty()
    monkeypatch.setenv("DFLIB_TERMINAL", os.ttyname(writing))
    progress = Progress(terminal())
    progress.start("videos", 4)
    progress.set(2)
    progress.finish()
    assert "[###############...............] videos: 2 of 4 done" in os.read(reading, 10_000).decode()


def test_terminal_falls_back_to_standard_error(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("DFLIB_TERMINAL", f"{tmp_path}/no/such/terminal")
    assert terminal() is sys.stderr


def test_state_has_count_and_rate() -> None:
    now = 100.0
    progress = Progress(io.StringIO(), clock=lambda: now)
    assert progress.state is None
    progress.start("faces", 400)
    assert progress.state == ProgressState("faces", 0, 400, None)
    now = 104.0
    progress.set(0)
    assert progress.state == ProgressState("faces", 0, 400, None), "nothing done, no rate"
    now = 114.0
    progress.set(50)
    assert progress.state == ProgressState("faces", 50, 400, 5.0)
    now = 154.0
    assert progress.state == ProgressState("faces", 50, 400, 1.0), "nothing more for long: slower"
    progress.finish()
    assert progress.state == ProgressState("faces", 50, 400, None), "no more will come"
    progress.start("reports", 2)
    assert progress.state == ProgressState("reports", 0, 2, None), "each phase for itself"


def test_state_excludes_earlier_work_from_the_rate() -> None:
    now = 0.0
    progress = Progress(io.StringIO(), clock=lambda: now)
    progress.start("training steps", 1000)
    now = 10.0
    progress.set(900)
    now = 20.0
    progress.set(905)
    assert progress.state == ProgressState("training steps", 905, 1000, 0.5)


def test_a_terminal_that_was_closed_fails_no_job() -> None:
    outer, inner = pty.openpty()
    progress = Progress(os.fdopen(inner, "w"))
    progress.start("videos", 2)
    os.close(outer)
    progress.set(1)
    progress.finish()
    progress.finish()
