"""Progress on a terminal and in a log."""

import io
import os
import pty
import sys

import pytest

from dflib.progress import Progress, terminal


def test_a_log_gets_a_line_now_and_then() -> None:
    stream = io.StringIO()
    progress = Progress(stream, every=0.0)
    progress.start("videos", 200)
    progress.set(50)
    progress.finish()
    line = stream.getvalue()
    assert line.startswith("videos: 50 of 200 done, ")
    assert line.count("\n") == 1


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pty.openpty()
    monkeypatch.setenv("DFLIB_TERMINAL", os.ttyname(writing))
    progress = Progress(terminal())
    progress.start("videos", 4)
    progress.set(2)
    progress.finish()
    assert "[###############...............] videos: 2 of 4 done" in os.read(reading, 10_000).decode()


def test_a_terminal_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("DFLIB_TERMINAL", f"{tmp_path}/no/such/terminal")
    assert terminal() is sys.stderr
