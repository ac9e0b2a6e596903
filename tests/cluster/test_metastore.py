"""A PostgreSQL metastore: two SQL sessions and a client of the Thrift server query while extract writes."""

import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from dflib.runtime.metastore import PASSWORD
from dflib.tables.schemas import FACES
from dflib.tables.views import VIEWS
from tests.cluster.standalone import SPARK_HOME
from tests.jobs.places import Place
from tests.ports import free_ports
from tests.postgres_server import Postgres, postgres

pytestmark = pytest.mark.cluster

SMALL = ("--", "--conf", "spark.driver.memory=1g")
TABLES = ("chunks", "videos", "extractions", "frames", "faces")


Value = TypeVar("Value")


@dataclass
class Team:
    """A place with its metastore, and the processes started on it."""

    place: Place
    server: Postgres
    stack: ExitStack
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def log(self, name: str) -> str:
        return (self.place.root / f"{name}.log").read_text(errors="replace")

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """A process with its output in a file; it is killed after the test."""
        log = self.stack.enter_context((self.place.root / f"{name}.log").open("wb"))
        environment = self.place.environment()
        process = subprocess.Popen(
            command, env=environment, cwd=self.place.root, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        self.processes[name] = process
        return process

    def until(self, name: str, look: Callable[[], Value | None], seconds: float = 240) -> Value:
        """Polls ``look`` until it returns something, while the process runs."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            assert self.processes[name].poll() is None, f"{name} has ended\n{self.log(name)}"
            assert time.monotonic() < deadline, f"{name} did not get there\n{self.log(name)}"
            time.sleep(0.3)
        return found

    def ask(self, session: str, query: str) -> list[str]:
        """The one row of a query, asked in a running spark-sql session."""
        mark = secrets.token_hex(4)
        stdin = self.processes[session].stdin
        assert stdin is not None
        # With a name of its own, so that the line of column names is not taken for the answer.
        stdin.write(f"SELECT 'answer {mark}' AS mark, * FROM ({query});\n".encode())
        stdin.flush()
        line = re.compile(rf"answer {mark}\t(.*)")
        return self.until(session, lambda: line.search(self.log(session))).group(1).split("\t")

    def beeline(self, port: int, query: str) -> list[list[str]]:
        """Header and rows of a query to the Thrift server, by JDBC."""
        url = f"jdbc:hive2://127.0.0.1:{port}/deepfake"
        done = subprocess.run(
            [SPARK_HOME / "bin" / "beeline", "-u", url, "--silent=true", "--outputformat=tsv2", "-e", query],
            env={**os.environ, "SPARK_HOME": str(SPARK_HOME)},
            cwd=self.place.root,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines() if line]


@pytest.fixture
def team(demo_data: Path, tmp_path: Path) -> Iterator[Team]:
    password = secrets.token_urlsafe(12)
    with postgres(password) as server, ExitStack() as stack:
        settings = ["tables.metastore=postgres", f"tables.metastore_at={server.place}"]
        place = Place(tmp_path, f"{demo_data}/chunks/*", settings=settings, variables={PASSWORD: password})
        yield Team(place, server, stack)


def get(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def command_lines() -> str:
    """Command lines of all visible processes of this machine."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has ended meanwhile
    return "\n".join(lines)


def test_sessions_and_a_jdbc_client_query_while_extract_writes(team: Team) -> None:
    place, password = team.place, team.server.password
    outputs = []
    for job, frames in (("register", 2), ("ingest", 2), ("extract", 2)):
        done = place.submit(job, f"sampling.frames=even:{frames}")
        outputs += [done.stdout, done.stderr]
        assert "not registered" not in done.stderr + done.stdout
    named = team.server.ask('SELECT "TBL_NAME" FROM "TBLS" JOIN "DBS" USING ("DB_ID") WHERE "NAME" = \'deepfake\'')
    assert set(named) == {*TABLES, "tasks", "runs", "quarantine"}
    # JDBC clients get column metadata from the metastore, not from Delta.
    kept = 'SELECT "PARAM_VALUE" FROM "TBLS" JOIN "TABLE_PARAMS" USING ("TBL_ID") WHERE "TBL_NAME" = \'faces\''
    (schema,) = team.server.ask(f"{kept} AND \"PARAM_KEY\" = 'spark.sql.sources.schema'")
    comments = {column["name"]: column["metadata"]["comment"] for column in json.loads(schema)["fields"]}
    assert comments == FACES.comments

    port, page = free_ports(2)
    team.start("thrift", place.command("thrift", f"sql.port={port}", options=SMALL))
    for session in ("a", "b"):
        team.start(session, place.command("sql", options=SMALL))
    videos = place.table("videos")
    for session in ("a", "b"):
        query = "SELECT count(*), count_if(label = 'FAKE') FROM deepfake.videos"
        assert team.ask(session, query) == [str(len(videos)), str((videos["label"] == "FAKE").sum())]
    team.until("thrift", lambda: True if listens(port) else None)

    first = len(place.table("extractions"))
    watch = (
        "sampling.frames=even:3",
        "extract.wave_videos=6",
        f"monitoring.event_log={place.root}/events",
        f"monitoring.ui_port={page}",
    )
    plain = ("--", "--conf", "spark.eventLog.compress=false")
    extract = team.start("extract", place.command("extract", *watch, options=plain))
    team.until("extract", lambda: True if len(place.table("extractions")) > first else None)

    version = place.versions()["extractions"]
    ledger = place.table("extractions", version)
    expected = [str(len(ledger)), str(ledger["faces"].sum())]
    pinned = f"SELECT count(*), sum(faces) FROM deepfake.extractions VERSION AS OF {version}"
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(team.ask, session, pinned) for session in ("a", "b")]
        by_jdbc = pool.submit(team.beeline, port, pinned)
        answers = [answer.result() for answer in asked]
        _, row = by_jdbc.result()
    assert answers == [expected, expected] and row == expected
    now = int(team.ask("a", "SELECT count(*) FROM deepfake.extractions")[0])
    assert len(ledger) <= now <= len(place.table("extractions"))
    metrics, executors = get(page, "/metrics/prometheus/"), get(page, "/metrics/executors/prometheus")
    assert extract.poll() is None, "extract was over before all had their answers"
    seen = command_lines()
    assert metrics is not None and re.search(r"^metrics_dflib_driver_\S+ [\d.E]+$", metrics, re.MULTILINE)
    assert executors is not None and "spark_info" in executors and 'executor_id="driver"' in executors

    assert extract.wait(480) == 0, team.log("extract")
    for table in TABLES:
        assert team.ask("b", f"SELECT count(*) FROM deepfake.{table}") == [str(len(place.table(table)))]
    failed = place.table("extractions").query("outcome == 'FAILED'")
    assert team.ask("a", "SELECT count(*) FROM deepfake.quarantine") == [str(len(failed))]
    described = team.beeline(port, "DESCRIBE quarantine")
    assert {column: comment for column, _, comment in described[1:]} == VIEWS["quarantine"].columns
    (_, secret) = team.beeline(port, "SET spark.hadoop.javax.jdo.option.ConnectionPassword")

    (history,) = free_ports(1)
    watched = place.command("history", *watch, options=("--", "--conf", f"spark.history.ui.port={history}"))
    team.start("history", watched)
    listed = team.until("history", lambda: get(history, "/api/v1/applications") or None)
    assert [application["name"] for application in json.loads(listed)] == ["dflib extract"]

    places = [path for name in ("tables/runs", "events") for path in (place.root / name).rglob("*") if path.is_file()]
    assert any("SparkListenerTaskEnd" in path.read_text(errors="replace") for path in places)
    texts = [*outputs, seen, str(secret), *map(team.log, team.processes), *(path.read_text() for path in places)]
    assert PASSWORD in seen, "the variable is named, so the settings are among the command lines looked at"
    assert not any(password in text for text in texts)
