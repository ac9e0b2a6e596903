"""Memory that gradient accumulation (`train.accumulate`) saves: training steps with whole batches and micro-batches.

    python -m benchmarks.train_memory [--batch-size 32] [--out benchmarks/results/train_memory.json]

Each variant runs in a process of its own on the CPU, on random images: the memory of a step does not depend on their
content.  Measured is the peak resident memory during steps of the whole batch, less the resident memory before them,
after smaller batches have built the graph and free memory has been returned to the system (Linux, glibc).  So it covers
activations and gradients; it excludes TensorFlow, the weights and the graph, which grows with the number of
micro-batches (``graph``: memory that building it took).  The kernels of a GPU need other amounts: the ratios show that
micro-batches are processed one after another, not which batch fits into a GPU.
"""

import argparse
import ctypes
import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.extract import machine, rounded
from benchmarks.extract_memory import resident
from dflib.models import networks
from dflib.parts.catalog import NETWORKS

MICRO_BATCHES = (1, 2, 4, 8)
STEPS = 4


def reset_peak() -> None:
    """Returns free memory to the system and sets the peak to the current resident memory."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Peak resident memory since :func:`reset_peak`, MiB."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def measure(network: str, size: int, batch_size: int, micro_batches: int) -> dict[str, float]:
    """MiB that building the graph takes, and that steps take."""
    from dflib.runtime import tensorflow_setup
    from dflib.training import losses
    from dflib.training.accumulate import with_accumulation

    tensorflow_setup.tensorflow()
    import numpy as np
    import tf_keras

    model = with_accumulation(networks.build(network, size, None), micro_batches)
    model.compile(optimizer=tf_keras.optimizers.Adam(1e-4), loss=losses.load("binary_crossentropy").build())
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(1)
    images = random.uniform(0, 255, (batch_size, size, size, 3)).astype("f4")
    labels = random.integers(0, 2, (batch_size, 1)).astype("f4")
    loaded = resident()
    # The second batch size makes TensorFlow build a graph for any size.
    for few in (micro_batches, 2 * micro_batches):
        model.train_on_batch(images[:few], labels[:few])
    reset_peak()
    before = resident()
    for _ in range(STEPS):
        model.train_on_batch(images, labels)
    return {"graph_mib": before - loaded, "step_mib": peak() - before}


def _in_process(*arguments: Any) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS.names, default=NETWORKS.names)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/train_memory.json"))
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    results: dict[str, Any] = {"machine": machine(), "batch": arguments.batch_size, "networks": {}}
    print(f"{'network':16}{'micro-batches':>14}{'MiB a step':>12}{'/ whole':>9}{'graph':>9}")
    for network in arguments.networks:
        size = networks.load(network).published_size
        ways: dict[str, dict[str, float]] = {}
        for micro_batches in MICRO_BATCHES:
            measured = _in_process(network, size, arguments.batch_size, micro_batches)
            ways[str(micro_batches)] = measured
            measured["step_mib_ratio"] = measured["step_mib"] / ways["1"]["step_mib"]
            print(
                f"{network:16}{micro_batches:14}{measured['step_mib']:12.0f}{measured['step_mib_ratio']:9.2f}"
                f"{measured['graph_mib']:9.0f}",
                flush=True,
            )
        results["networks"][network] = {"size": size, "ways": ways}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rounded(results), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
