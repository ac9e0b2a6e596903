"""SIGINT (Ctrl-C), SIGTERM and SIGHUP in the driver: the job ends in order, with one line and exit code 128 + number.

SIGHUP tells that the terminal was closed; it does nothing where it is ignored from the start, as below nohup.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from pyspark import SparkContext

DRIVER_FILE = "DFLIB_DRIVER_FILE"
"""Variable with the path of a file into which the driver writes its process id once it is ready for signals."""
HANGUP = "DFLIB_HANGUP"
"""Variable that is not empty when SIGHUP ends the job although the driver starts with it ignored."""


class Interrupted(BaseException):
    """The job was told to stop.

    No :class:`KeyboardInterrupt`: for that, Py4J closes all connections to the JVM, which the end of the job needs.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number

    @property
    def code(self) -> int:
        """The exit code of a process that this signal ends."""
        return 128 + self.number


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP raises :class:`Interrupted` in the block; further ones do nothing.

    Only the main thread may enter it.
    """
    before = {number: signal.getsignal(number) for number in _numbers()}
    listen()
    name = os.environ.get(DRIVER_FILE)
    if name:
        # The process that supervises this one sends it no signal before.
        with contextlib.suppress(OSError):
            Path(name).write_text(str(os.getpid()))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen() -> None:
    """Sets the handlers; once more after a Spark session was made, which sets one of its own."""
    for number in _numbers():
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From here on signals do nothing: the work is done, and what is left takes a second."""
    for number in _numbers():
        signal.signal(number, signal.SIG_IGN)


def _numbers() -> list[signal.Signals]:
    hangs_up = os.environ.get(HANGUP) or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]


def _interrupt(number: int, frame: FrameType | None) -> None:
    ignore()
    context = SparkContext._active_spark_context
    if context is not None:
        _forget_connection(context)
        # Not what its tasks say that are cut short.
        with contextlib.suppress(Exception):  # the JVM may have ended
            context.setLogLevel("OFF")
    raise Interrupted(number)


def _forget_connection(context: SparkContext) -> None:
    """Makes this thread open a new connection to the JVM: on the present one an answer may be due that nobody reads."""
    client = getattr(context._gateway, "_gateway_client", None)
    local = getattr(client, "thread_connection", None)
    if local is not None:
        local.connection = None
