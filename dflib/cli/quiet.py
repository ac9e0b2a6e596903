"""Copies standard input to standard error without the known noise of other libraries.

Run as a script, beside a job, so it imports nothing of dflib. Only lines that are known to mean nothing are dropped;
``--verbose`` runs a job without it.
"""

import re
import signal
import sys

NOISE = re.compile(
    rb"""
      WARNING:\ Using\ incubator\ modules:                  # Spark adds one for MLlib, which dflib does not use
    | WARNING:\ All\ log\ messages\ before\ absl::InitializeLog
    | [WI]\d{4}\ .*\ op_level_cost_estimator\.cc:\d+\]      # TensorFlow has no cost model of CropAndResize
    | Using\ Spark's\ default\ log4j\ profile:
    | .*\ NativeCodeLoader:\ Unable\ to\ load\ native-hadoop
    | Setting\ default\ log\ level\ to\ "
    | To\ adjust\ logging\ level\ use\ sc\.setLogLevel
    """,
    re.VERBOSE,
)


def is_noise(line: bytes) -> bool:
    """Whether a line is one of the known messages that say nothing about a job."""
    return NOISE.match(line) is not None


def main() -> None:
    # Ctrl-C reaches the whole process group; the last lines of the job come after it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if not is_noise(line):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
