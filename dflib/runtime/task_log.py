"""The row of a task in the table ``tasks``."""

import os
import resource
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark import TaskContext

from dflib.runtime.gpus import Device


@dataclass(frozen=True)
class Origin:
    """The run, job and wave of a task, sent to it."""

    run_id: str
    job: str
    wave: int = 0


class TaskLog:
    """Measures one task; create it when the task begins."""

    def __init__(self, origin: Origin, device: Device) -> None:
        self._origin = origin
        self._device = device
        self._started = datetime.now(UTC)
        self._wall, self._cpu = time.monotonic(), time.process_time()

    @property
    def run_id(self) -> str:
        """The run of the task."""
        return self._origin.run_id

    def row(self, videos: int, faces: int, **more: Any) -> dict[str, Any]:
        """The row; columns that only some jobs fill are passed in ``more``."""
        context = TaskContext.get()
        return {
            "run_id": self._origin.run_id,
            "job": self._origin.job,
            "wave": self._origin.wave,
            "task": context.partitionId() if context else 0,
            "attempt": context.attemptNumber() if context else 0,
            "host": socket.gethostname(),
            # The process that an executor forks its Python workers from: one an executor and request for devices.
            "executor": os.getppid(),
            "worker": os.getpid(),
            "gpu": self._device.address,
            "device": self._device.name,
            "note": self._device.note,
            "started_at": self._started,
            "seconds": time.monotonic() - self._wall,
            "cpu_seconds": time.process_time() - self._cpu,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "videos": videos,
            "faces": faces,
            **more,
        }
