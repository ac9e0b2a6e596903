"""Lines of other libraries that are known to mean nothing; ``--verbose`` shows them all the same."""

import re

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
