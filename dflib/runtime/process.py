"""What another process of this machine has used so far, from Linux's /proc; and how a process ended."""

import os
import signal
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, in steps of 10 ms.

    Raises:
        OSError: there is no such process.
    """
    # The second field is the program's name in parentheses, which may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def anonymous_bytes(pid: int) -> int:
    """Resident memory that no file backs: the heap, without libraries and without what was only reserved.

    Raises:
        OSError: there is no such process.
    """
    fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    return (int(fields[1]) - int(fields[2])) * _PAGE


def peak_bytes(pid: int) -> int:
    """Peak resident memory; 0 when the process has ended.

    Raises:
        OSError: there is no such process.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
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
