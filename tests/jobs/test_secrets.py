"""Credentials in the environment of a job are in nothing that it writes, shows or is started with."""

import contextlib
import json
import secrets
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from dflib.runtime.metastore import PASSWORD
from tests.jobs.places import Place
from tests.ports import free_ports

# A job of its own, with an event log and Spark's page.
pytestmark = pytest.mark.cluster


def page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
        return str(answer.read().decode())


def test_planted_credentials_appear_nowhere(demo_data: Path, tmp_path: Path) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", PASSWORD)
    planted = {name: f"planted-{secrets.token_hex(12)}" for name in names}
    (port,) = free_ports(1)
    chunk = min((demo_data / "chunks").iterdir())
    events = tmp_path / "events"
    settings = [f"monitoring.event_log={events}", f"monitoring.ui_port={port}", "tables.metastore=postgres"]
    settings += ["tables.metastore_at=ana@127.0.0.1:1/meta"]
    place = Place(tmp_path, str(chunk), settings=settings, variables=planted)
    process = subprocess.Popen(
        place.command("ingest", options=("--verbose",)), env=place.environment(), cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    shown: dict[str, str] = {}
    lines: set[str] = set()
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(process.pid)
            lines |= {" ".join(each.cmdline()) for each in (own, *own.children(recursive=True))}
        with contextlib.suppress(OSError, ValueError):  # not there yet, or starting
            (application,) = json.loads(page(port, "api/v1/applications"))
            for path in ("environment", "allexecutors", "jobs"):
                shown[path] = page(port, f"api/v1/applications/{application['id']}/{path}")
            shown["page"] = page(port, "environment/")
        time.sleep(0.3)
    out = process.communicate()[0]
    assert process.returncode == 0, out
    assert "spark.sql.extensions" in shown["environment"] and any("--application=" in line for line in lines)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.parent.name for path in files} >= {"_delta_log", "runs"} and any(events.rglob("*"))
    for name, value in planted.items():
        assert value not in out and not [path for path, text in shown.items() if value in text], name
        assert not [line for line in lines if value in line], name
        assert not [path for path, content in files.items() if value.encode() in content], name
