"""What `train.accumulate` saves in memory: steps of training, their batch whole and in parts.

    python -m benchmarks.train_memory [--batch 32] [--out benchmarks/results/train_memory.json]

Each way runs in a process of its own on the CPU, on random pictures: what a step keeps does not hang on what they show.
Memory is the resident memory at its peak over steps of the whole batch, less what there was before them, when smaller
batches had built the graph and what was free had been given back (Linux, glibc): so activations and gradients, and not
TensorFlow, weights or the graph, which grows with the parts (``graph``: what building it took).  On a GPU other kernels
need other room: the ratios say whether the parts follow one another, not what fits.
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

PARTS = (1, 2, 4, 8)
STEPS = 4


def peak_anew() -> None:
    """Gives free memory back, and lets the peak begin from what is left."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Largest resident memory since :func:`peak_anew`, MiB."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def step(network: str, size: int, batch: int, parts: int) -> dict[str, float]:
    """MiB that building the graph and that steps take."""
    from dflib.runtime import tensorflow_setup as framework
    from dflib.training.accumulate import in_parts

    framework.tensorflow()
    import numpy as np
    import tf_keras

    model = in_parts(networks.build(network, size, None), parts)
    model.compile(optimizer=tf_keras.optimizers.Adam(1e-4), loss="binary_crossentropy")
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(1)
    pictures = random.uniform(0, 255, (batch, size, size, 3)).astype("f4")
    labels = random.integers(0, 2, (batch, 1)).astype("f4")
    loaded = resident()
    # The second size makes the graph one for any size.
    for few in (parts, 2 * parts):
        model.train_on_batch(pictures[:few], labels[:few])
    peak_anew()
    before = resident()
    for _ in range(STEPS):
        model.train_on_batch(pictures, labels)
    return {"graph_mib": before - loaded, "step_mib": peak() - before}


def _in_process(*arguments: Any) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(step, arguments)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS.names, default=NETWORKS.names)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/train_memory.json"))
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    found: dict[str, Any] = {"machine": machine(), "batch": arguments.batch, "networks": {}}
    print(f"{'network':16}{'parts':>6}{'MiB a step':>12}{'/ whole':>9}{'graph':>9}")
    for network in arguments.networks:
        size = networks.load(network).published_size
        ways: dict[str, dict[str, float]] = {}
        for parts in PARTS:
            way = _in_process(network, size, arguments.batch, parts)
            ways[str(parts)] = way
            way["step_mib_ratio"] = way["step_mib"] / ways["1"]["step_mib"]
            print(
                f"{network:16}{parts:6}{way['step_mib']:12.0f}{way['step_mib_ratio']:9.2f}{way['graph_mib']:9.0f}",
                flush=True,
            )
        found["networks"][network] = {"size": size, "ways": ways}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rounded(found), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
