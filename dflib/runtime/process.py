"""What another process of this machine has used so far, from Linux's /proc; and how a process ended."""

import os
import signal
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage:
    """What a process has used; its files stay open, so that looking often costs little.

    Raises:
        OSError: there is no such process, here and in all methods.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._files: list[int] = []
        self._stat = self._opened("stat")
        self._statm = self._opened("statm")

    def _opened(self, name: str) -> int:
        self._files.append(os.open(f"/proc/{self._pid}/{name}", os.O_RDONLY))
        return self._files[-1]

    def __del__(self) -> None:
        for file in self._files:
            os.close(file)

    def cpu_seconds(self) -> float:
        """CPU time of all threads, in steps of 10 ms."""
        # The second field is the program's name in parentheses, which may hold anything.
        fields = os.pread(self._stat, 4096, 0).rpartition(b")")[2].split(None, 14)
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def anonymous_bytes(self) -> int:
        """Resident memory that no file backs: the heap, without libraries and without what was only reserved."""
        fields = os.pread(self._statm, 4096, 0).split(None, 3)
        return (int(fields[1]) - int(fields[2])) * _PAGE

    def peak_bytes(self) -> int:
        """Peak resident memory; 0 when the process has ended and waits for its parent."""
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0


def ending(returncode: int) -> str:
    """How a process ended, such as ``SIGSEGV`` or ``exit code 1``.

    Args:
        returncode: as :attr:`subprocess.Popen.returncode`, negative for a signal.
    """
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:  # a real-time signal
        return f"signal {-returncode}"
