"""Real S3 servers for tests: moto, which takes any credentials, and SeaweedFS, which checks them."""

import json
import signal
import subprocess
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.ports import free_ports

REGION = "us-east-1"


class _AtomicConditions:
    """Handles one conditional write at a time, as S3 does: moto checks the condition and writes in two steps."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        conditional = "HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ
        with self._lock if conditional else nullcontext():
            return self._app(environ, start_response)


@contextmanager
def s3_server(*buckets: str) -> Iterator[str]:
    """The endpoint of a server with these empty buckets; credentials are in the environment meanwhile."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    assert server._server is not None
    server._server.app = _AtomicConditions(server._server.app)
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        for bucket in buckets:
            boto3.client("s3", endpoint_url=endpoint, region_name=REGION).create_bucket(Bucket=bucket)
            # All servers of a process share their content, also that of servers which have ended.
            boto3.resource("s3", endpoint_url=endpoint, region_name=REGION).Bucket(bucket).objects.all().delete()
        yield endpoint
    server.stop()


@dataclass(frozen=True)
class CheckingServer:
    """An S3 server that refuses whom it does not know."""

    endpoint: str
    process: subprocess.Popen[bytes]
    identities: Path

    def let_in(self, keys: Mapping[str, str]) -> None:
        """From now on these access keys, with their secrets, are known, and no others."""
        _write_identities(self.identities, keys)
        self.process.send_signal(signal.SIGHUP)

    def knows(self, key: str, secret: str) -> bool:
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )
        try:
            client.list_buckets()
        except client.exceptions.ClientError:
            return False
        return True


@contextmanager
def checking_server(folder: Path, key: str, secret: str, *buckets: str) -> Iterator[CheckingServer]:
    """A SeaweedFS server with these empty buckets, which knows one access key. It has ended after the block."""
    names = ("master", "volume", "filer", "s3")
    ports = dict(zip((*names, *(f"{name}.grpc" for name in names), "metrics"), free_ports(9), strict=True))
    identities = folder / "identities.json"
    _write_identities(identities, {key: secret})
    (folder / "data").mkdir(parents=True, exist_ok=True)
    command = [
        *(str(Path(sysconfig.get_path("scripts")) / "weed"), "-logtostderr=true", "server"),
        *(f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
        *(f"-{name}.port={ports[name]}" for name in names),
        *(f"-{name}.port.grpc={ports[f'{name}.grpc']}" for name in names),
        *("-filer", f"-filer.localSocket={folder}/filer.sock", "-s3", f"-s3.config={identities}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-metricsPort={ports['metrics']}"),
        *("-volume.max=60", "-master.volumeSizeLimitMB=64"),
    ]
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            server = CheckingServer(endpoint, process, identities)
            deadline = time.monotonic() + 60
            while not _answers(endpoint) or not server.knows(key, secret):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
                time.sleep(0.2)
            client = boto3.client(
                "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
            )
            for bucket in buckets:
                client.create_bucket(Bucket=bucket)
            yield server
        finally:
            process.kill()  # a clean end takes it 10 s, and nothing of it is kept
            process.wait()


def _write_identities(path: Path, keys: Mapping[str, str]) -> None:
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    # One identity whatever its keys: the server keeps identities that a later file does not name.
    credentials = [{"accessKey": key, "secretKey": secret} for key, secret in keys.items()]
    path.write_text(json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": actions}]}))


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
