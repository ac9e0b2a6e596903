"""Extracts videos in a process of their own, so that no video ends, stops or starves the task or its neighbours.

A Python worker keeps its process from task to task: the detector is loaded once.  The process that a video has ended,
or that had to be ended because of a video, is replaced before the next one.
"""

import contextlib
import os
import queue
import resource
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from dflib.config import Config
from dflib.config.extraction import ExtractConfig, FacesConfig
from dflib.errors import ClusterError, DflibError, VideoError
from dflib.extraction import tracks
from dflib.extraction.video import VideoRows
from dflib.extraction.video_process import Answer, Failure, Ready, Request, Setup
from dflib.runtime import gpus, process

POLL_SECONDS = 0.1
"""Interval of looking at what the process uses; in one, it can fill some 0.2 GB beyond its limit."""

STALLED_SECONDS = 300
"""Wall-clock seconds without any use of the CPU after which a process is taken to wait for ever."""

EXIT_SECONDS = 30
"""Wall-clock seconds that a process may take to end, once its connections are closed."""


class _Ended(Exception):
    """The process ended while a video was in it; the text says how."""


class _OverLimit(Exception):
    """The process used more than it may, and was killed."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.failure = Failure(reason, detail)


class Isolation:
    """The process of one Python worker, for up to ``setup.threads`` videos at a time.

    Where several share it, its end says nothing about which of them caused it: each that was in it is extracted once
    more, alone.  A video that was alone when the process ended is tried once more, too, since the cause may lie
    outside (the system's out-of-memory killer).
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._child: _Child | None = None
        self._peak = 0
        self._starting = threading.Lock()
        self._alone = threading.Lock()
        self._places: queue.Queue[int] = queue.Queue()
        for place in range(setup.threads):
            self._places.put(place)

    def start(self) -> Ready:
        """Starts the process, unless it runs.

        Raises:
            ClusterError: it does not start, or its detector does not work.
            DflibError: another error of loading: a required GPU or a package is missing.
        """
        return self._running().ready

    def extract(self, content: bytes, video_id: str, extractor: str, config: Config) -> VideoRows:
        """As :func:`dflib.extraction.video.extract_video`, which the process calls.

        Raises:
            VideoError: as there. CRASHED: it ended the process. TIMEOUT, TOO_LARGE: it used more CPU time or memory
                than ``extract.max_cpu_seconds`` or ``extract.max_video_memory``. INTERNAL_ERROR: any other error.
            DflibError: an error that does not concern the video, as of :meth:`start`.
        """
        request = Request(video_id, extractor, config)
        try:
            with self._place() as place:
                answer = self._answer(place, request, content, self.setup.threads)
        except _Ended:
            answer = self._answer_alone(request, content)
        except _OverLimit as over:
            answer = over.failure if self.setup.threads == 1 else self._answer_alone(request, content)
        if isinstance(answer, Failure):
            raise VideoError(answer.reason, answer.detail)
        if isinstance(answer, DflibError):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the process; it is started again when it is needed."""
        with self._starting:
            if self._child is not None:
                self._end(self._child)
                self._child = None

    def cpu_seconds(self) -> float:
        """CPU time of this worker's child processes since it started, in steps of 10 ms."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime + (self._child.cpu_seconds() if self._child else 0.0)

    def peak_bytes(self) -> int:
        """Peak resident memory of the process and of those before it, but for those that crashed."""
        return max(self._peak, self._child.peak_bytes() if self._child else 0)

    def _end(self, child: "_Child") -> None:
        self._peak = max(self._peak, child.peak_bytes())
        child.kill()

    def _running(self) -> "_Child":
        with self._starting:
            if self._child is None or not self._child.runs():
                self._child = _Child(self.setup)
            return self._child

    @contextlib.contextmanager
    def _place(self) -> Iterator[int]:
        place = self._places.get()
        try:
            yield place
        finally:
            self._places.put(place)

    def _answer_alone(self, request: Request, content: bytes) -> Answer:
        """As :meth:`_answer`, with no other video in the process; what ends it now is charged to this one."""
        with self._alone, contextlib.ExitStack() as stack:
            places = [stack.enter_context(self._place()) for _ in range(self.setup.threads)]
            try:
                return self._answer(places[0], request, content, 1)
            except _OverLimit as over:
                return over.failure
            except _Ended as ended:
                hint = " (so the system ends processes when memory runs out)" if str(ended) == "SIGKILL" else ""
                return Failure("CRASHED", f"ended its process twice, the second time alone in it, with {ended}{hint}")

    def _answer(self, place: int, request: Request, content: bytes, videos: int) -> Answer:
        """The answer of the process.

        Args:
            place: which connection.
            request, content: the video.
            videos: how many may be in the process, whose limits grow with their number.

        Raises:
            _Ended, _OverLimit: there is no answer.
        """
        child = self._running()
        connection = child.connections[place]
        try:
            limits = _Limits(child.usage, request.config.extract, len(content), videos)
            connection.send(request)
            connection.send_bytes(content)
            answered = select.poll()
            answered.register(connection, select.POLLIN)
            while not answered.poll(POLL_SECONDS * 1000):
                limits.check()
            answer: Answer = connection.recv()
            return answer
        except _OverLimit:
            self._end(child)
            raise
        except (EOFError, OSError):
            raise _Ended(child.ending()) from None


class _Limits:
    """What a process may use from now on."""

    def __init__(self, usage: process.Usage, settings: ExtractConfig, content: int, videos: int) -> None:
        self._usage = usage
        self._settings = settings
        self._videos = videos
        self._cpu = self._last = usage.cpu_seconds()
        self._memory = usage.anonymous_bytes() + content
        self._progress = time.monotonic()

    def check(self) -> None:
        """Raises :class:`_OverLimit` if the process has used more."""
        used, now = self._usage.cpu_seconds(), time.monotonic()
        if used > self._last:
            self._last, self._progress = used, now
        allowed = self._settings.max_cpu_seconds
        if used - self._cpu > allowed * self._videos:
            raise _OverLimit("TIMEOUT", f"took more than extract.max_cpu_seconds={allowed} of CPU time")
        if now - self._progress > STALLED_SECONDS:
            raise _OverLimit("TIMEOUT", f"used no CPU time for {STALLED_SECONDS} s; it waits for something")
        size = self._settings.max_video_memory
        if self._usage.anonymous_bytes() - self._memory > size * self._videos:
            raise _OverLimit("TOO_LARGE", f"needed more than extract.max_video_memory={size} bytes besides its content")


class _Child:
    """One process, from its start to its end."""

    def __init__(self, setup: Setup) -> None:
        pairs = [Pipe() for _ in range(setup.threads)]
        self.connections: list[Connection] = [ours for ours, _ in pairs]
        descriptors = [theirs.fileno() for _, theirs in pairs]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dflib.extraction.video_process", *map(str, descriptors)],
            # Never written to: when it closes, which it does however this process ends, the kernel kills the child.
            stdin=subprocess.PIPE,
            stdout=2,
            pass_fds=descriptors,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | setup.variables,
        )
        self.usage = process.Usage(self._process.pid)
        for _, theirs in pairs:
            theirs.close()
        try:
            self.connections[0].send(setup)
            answer: Ready | DflibError = self.connections[0].recv()
        except (EOFError, OSError):
            raise ClusterError(
                f"the process that extracts videos ended with {self.ending()} before it opened any; what it wrote is "
                "in the log of the executor"
            ) from None
        if isinstance(answer, DflibError):
            self.kill()
            raise answer
        self.ready = answer

    def runs(self) -> bool:
        return self._process.poll() is None

    def ending(self) -> str:
        """How the process ended, whose connections are closed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)
        self.kill()
        return process.ending(self._process.returncode)

    def kill(self) -> None:
        """Kills the process; its connections stay open, so that other threads that wait for an answer see the end."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def cpu_seconds(self) -> float:
        try:
            return self.usage.cpu_seconds() if self.runs() else 0.0
        except OSError:
            return 0.0

    def peak_bytes(self) -> int:
        try:
            return self.usage.peak_bytes()
        except OSError:
            return 0


_own: Isolation | None = None
"""That of this Python worker, which outlives its tasks."""


def of_worker(faces: FacesConfig, ask: gpus.Ask, threads: int = 1) -> Isolation:
    """The isolation of this Python worker for these settings; that for others ends.

    Args:
        faces: names the detector.
        ask: from :func:`dflib.runtime.gpus.ask`.
        threads: videos at a time.

    Raises:
        ClusterError: Spark assigned the task no GPU although the executors have some.
    """
    global _own
    address, variables = gpus.environment(ask)
    setup = Setup(ask, address, variables, threads, faces.detector, tracks.candidate_threshold(faces))
    if _own is None or _own.setup != setup:
        close()
        _own = Isolation(setup)
    return _own


def close() -> None:
    """Ends the process of this Python worker, which holds memory and a share of the GPU that other work needs."""
    global _own
    if _own is not None:
        _own.close()
        _own = None
