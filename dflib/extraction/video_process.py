"""The process that opens the bytes of videos: it loads the detector once and then extracts one video after the other.

:mod:`dflib.extraction.isolation` starts it, watches it, and ends it when a video makes it use too much.  With several
threads a task, each has a connection of its own, and all share the detector.
"""

import contextlib
import fcntl
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from dflib.config import Config
from dflib.errors import ClusterError, DflibError, VideoError
from dflib.extraction import detect
from dflib.extraction.detect import Detector
from dflib.extraction.video import Lock, VideoRows, extract_video
from dflib.media import container
from dflib.runtime import gpus

log = logging.getLogger(__name__)

BLANK = np.zeros((96, 96, 3), np.uint8)
"""An image on which each detector must work; if it does not, the fault is not the video's."""


@dataclass(frozen=True)
class Setup:
    """What a process is started for; other settings need another process.

    Attributes:
        ask: the request for a device.
        address, variables: of :func:`dflib.runtime.gpus.environment` for it.
        threads: videos at a time.
        detector, threshold: as for :func:`dflib.extraction.detect.load`.
    """

    ask: gpus.Ask
    address: str | None
    variables: dict[str, str]
    threads: int
    detector: str
    threshold: float


@dataclass(frozen=True)
class Ready:
    """The answer of a process that has loaded everything.

    Attributes:
        pid: of the process.
        device: that its detector runs on.
        decoder: as :func:`dflib.media.container.version`.
    """

    pid: int
    device: gpus.Device
    decoder: str


@dataclass(frozen=True)
class Request:
    """What is needed of a video besides its bytes, which follow; as for :func:`extract_video`."""

    video_id: str
    extractor: str
    config: Config


@dataclass(frozen=True)
class Failure:
    """Why a video gives no rows; as in :class:`dflib.errors.VideoError`."""

    reason: str
    detail: str


Answer = VideoRows | Failure | DflibError
"""Of a request. A DflibError does not concern the video: the task fails with it."""


def main(descriptors: Sequence[str]) -> None:
    """Serves the connections until the other side closes them.

    Args:
        descriptors: file descriptors of the connections, one a thread.
    """
    _end_with_the_parent()
    # The terminal's Ctrl-C also reaches this process, which must not end before its parent has.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connections = [Connection(int(descriptor)) for descriptor in descriptors]
    setup: Setup = connections[0].recv()
    try:
        device = gpus.found(setup.ask, setup.address, setup.threads)
        detector = detect.load(setup.detector, setup.threshold, device.name)
        _check(detector)
    except DflibError as error:
        connections[0].send(error)
        return
    except Exception as error:
        log.exception("%s", setup.detector)
        connections[0].send(ClusterError(f"the face detector {setup.detector} can't be loaded: {_described(error)}"))
        return
    connections[0].send(Ready(os.getpid(), device, container.version()))
    lock = threading.Lock() if setup.threads > 1 else None
    threads = [threading.Thread(target=_serve, args=(one, detector, lock)) for one in connections[1:]]
    for thread in threads:
        thread.start()
    _serve(connections[0], detector, lock)
    for thread in threads:
        thread.join()


def _end_with_the_parent() -> None:
    """Lets the kernel kill this process when its standard input closes, which only the parent holds open.

    A decoder that never returns would notice nothing by itself.
    """
    os.set_blocking(0, False)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    with contextlib.suppress(BlockingIOError):
        if not os.read(0, 1):
            os._exit(0)  # closed before the kernel was asked


def _check(detector: Detector) -> None:
    """Raises :class:`ClusterError` if the detector fails on an image that any detector can search."""
    try:
        detector.detect([BLANK])
    except Exception as error:
        raise ClusterError(f"the face detector does not work on this machine: {_described(error)}") from error


def _serve(connection: Connection, detector: Detector, lock: Lock | None) -> None:
    with contextlib.suppress(EOFError):
        while True:
            request: Request = connection.recv()
            connection.send(_answer(request, connection.recv_bytes(), detector, lock))


def _answer(request: Request, content: bytes, detector: Detector, lock: Lock | None) -> Answer:
    try:
        return extract_video(content, request.video_id, request.extractor, request.config, detector, lock)
    except VideoError as error:
        return Failure(error.reason, error.detail)
    except DflibError as error:
        return error
    except MemoryError:
        return Failure("TOO_LARGE", "does not fit into the memory of a task")
    except Exception as error:  # whatever hostile bytes cause in the libraries; the type is a hint at where
        log.exception("%s", request.video_id)
        try:
            with lock or contextlib.nullcontext():
                _check(detector)
        except ClusterError as broken:
            return broken
        return Failure("INTERNAL_ERROR", _described(error))


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    # As a module of its name, so that its messages have the classes that the other side knows.
    from dflib.extraction import video_process

    video_process.main(sys.argv[1:])
