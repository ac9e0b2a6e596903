"""A reverse proxy before an S3 server that answers some requests with errors, stalls some, and breaks some answers off.

Requests are passed on with their path and headers unchanged, so that their signatures hold.
"""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

BLOCK = 65536
ERRORS = {500: "InternalError", 503: "SlowDown"}


@dataclass
class Faults:
    """What happens to which share of the requests.

    Attributes:
        errors: answered with 500 or 503, and not passed on.
        stalls: passed on after a second.
        cuts: answers with a body that end in the middle of it.
        cut_errors: those of the errors of which the body ends in the middle.
        only: nothing happens to requests of which the path does not hold this.
        counts: what was done: ``passed``, ``500``, ``503``, ``stalled``, ``cut``.
    """

    errors: float = 0
    stalls: float = 0
    cuts: float = 0
    cut_errors: bool = False
    seed: int = 1
    stall_seconds: float = 1
    only: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, path: str) -> tuple[int | None, bool, bool]:
        """For the next request: the status that it is answered with, if any; whether it stalls; whether it is cut."""
        if self.only not in path:
            return None, False, False
        with self._lock:
            drawn = self._random
            error = drawn.choice(sorted(ERRORS)) if drawn.random() < self.errors else None
            return error, drawn.random() < self.stalls, drawn.random() < self.cuts

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1


@contextmanager
def fault_proxy(endpoint: str, faults: Faults) -> Iterator[str]:
    """The endpoint of a proxy before ``endpoint``; it has ended after the block."""
    upstream = urlsplit(endpoint)
    assert upstream.hostname and upstream.port
    address = (upstream.hostname, upstream.port)

    class Handler(_Handler):
        pass

    Handler.upstream, Handler.faults = address, faults
    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients close connections as they please."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: tuple[str, int]
    faults: Faults

    def do_GET(self) -> None:
        error, stalls, cut = self.faults.draw(self.path)
        if stalls:
            self.faults.count("stalled")
            time.sleep(self.faults.stall_seconds)
        body = self._body()
        if error is not None:
            self.faults.count(str(error))
            self._answer_error(error)
            return
        connection = http.client.HTTPConnection(*self.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "transfer-encoding", "connection"):
                    connection.putheader(name, value)
            if "transfer-encoding" in self.headers:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            self._pass_back(connection.getresponse(), cut)
        finally:
            connection.close()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while length := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer_error(self, status: int) -> None:
        text = f"<Error><Code>{ERRORS[status]}</Code><Message>made by the proxy</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text[: len(text) // 2] if self.faults.cut_errors else text)
        self.close_connection = self.faults.cut_errors

    def _pass_back(self, answer: http.client.HTTPResponse, cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        chunked = answer.chunked
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "keep-alive"):
                self.send_header(name, value)
        self.end_headers()
        self.faults.count("passed")
        length = int(answer.headers.get("content-length") or 0)
        left = length // 2 if cut and self.command == "GET" and length > 1 else None
        while self.command != "HEAD" and (block := answer.read(BLOCK if left is None else min(BLOCK, left))):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            left = None if left is None else left - len(block)
            if left == 0:
                self.faults.count("cut")
                self.close_connection = True
                return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""
