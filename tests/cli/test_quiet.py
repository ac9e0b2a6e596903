"""Noise of other libraries, and lines that must not be taken for it."""

import pytest

from dflib.cli.quiet import is_noise


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: Using incubator modules: jdk.incubator.vector",
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "W0000 00:00:1795655880.288304    5016 op_level_cost_estimator.cc:699] Error in PredictCost() for the op: ...",
        "Using Spark's default log4j profile: org/apache/spark/log4j2-defaults.properties",
        "26/11/26 01:00:00 WARN NativeCodeLoader: Unable to load native-hadoop library for your platform...",
        'Setting default log level to "WARN".',
    ],
)
def test_is_noise_knows_the_lines_that_say_nothing(line: str) -> None:
    assert is_noise(line.encode() + b"\n")


@pytest.mark.parametrize(
    "line",
    [
        "WARNING dflib.runtime.gpus: 4 tasks that had a GPU ran on the CPU: TensorFlow sees no GPU at address 0",
        "W0000 00:00:1795655880.288304    5016 gpu_device.cc:2344] Cannot dlopen some GPU libraries.",
        "12:00:00 WARN TaskSchedulerImpl: Initial job has not accepted any resources; check your cluster UI",
        "extract: a.zip: WARNING: Using incubator modules: in a file name",
        "Exception in thread main java.lang.OutOfMemoryError",
        "",
    ],
)
def test_is_noise_keeps_everything_else(line: str) -> None:
    assert not is_noise(line.encode() + b"\n")
