"""Counters of storage requests."""

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counters:
    """What a :class:`~dflib.storage.Storage` has done since it was made; safe between threads.

    Attributes:
        requests: answered requests (on a disk: operations), each counted once, however often it was retried.
        bytes_read: bytes of their answers.
        retries: attempts beyond the first of each request, whether it succeeded in the end or not: those of boto3, and
            repeated reads of answers that broke off.
        whole: counters of the storage that this one is a part of; everything is added there too.
    """

    requests: int = 0
    bytes_read: int = 0
    retries: int = 0
    whole: "Counters | None" = None
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, bytes_read: int = 0) -> None:
        """Counts one answered request."""
        with self._lock:
            self.requests += 1
            self.bytes_read += bytes_read
        if self.whole is not None:
            self.whole.add(bytes_read)

    def retried(self) -> None:
        """Counts one retry."""
        with self._lock:
            self.retries += 1
        if self.whole is not None:
            self.whole.retried()
