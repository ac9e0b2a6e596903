"""A corpus of HDF5 weights files: damaged ones, and ones that cost much memory or time."""

import functools
import io
import json
import random
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np

from dflib.errors import ModelError
from dflib.models.importers import hdf5_arrays
from tests.hostile.census import Census
from tests.hostile.damage import damaged

SEED = 14
DAMAGED = 480

LAYERS: list[hdf5_arrays.Layer] = [
    ("conv", [((3, 3, 3, 8), "float32"), ((8,), "float32")]),
    ("norm", [((8,), "float32"), ((), "int64")]),
    ("dense", [((8, 1), "float32"), ((1,), "float32")]),
]


def truth() -> list[np.ndarray]:
    """The arrays of the whole files, in order; none of their values could be made by damage to a length or a name."""
    numbers = np.random.default_rng(SEED)
    return [
        numbers.normal(size=shape).astype(dtype) if dtype == "float32" else np.full(shape, 7, dtype)
        for _, weights in LAYERS
        for shape, dtype in weights
    ]


def whole(libver: Any = None, change: Any = None, **options: Any) -> bytes:
    """A file as Keras 2 writes it.

    Args:
        libver: version of the format.
        change: called with the open file at the end.
        options: of the arrays, such as ``compression``.
    """
    buffer, arrays = io.BytesIO(), iter(truth())
    with h5py.File(buffer, "w", libver=libver) as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in LAYERS]
        for name, weights in LAYERS:
            group = file.create_group(name)
            names = [f"{name}/weight_{number}:0" for number in range(len(weights))]
            group.attrs["weight_names"] = [weight.encode() for weight in names]
            for weight in names:
                values = next(arrays)
                group.create_dataset(weight, data=values, **(options if values.ndim else {}))
        if change:
            change(file)
    return buffer.getvalue()


def bombs() -> Iterator[bytes]:
    """Files that cost much memory or time, or hold values that a network cannot take."""

    def replace(file: Any, **options: Any) -> None:
        del file["conv/conv/weight_0:0"]
        file.create_dataset("conv/conv/weight_0:0", **options)

    shape = (3, 3, 3, 8)
    for value in (1e300, -1e39, np.nan, np.inf):
        yield whole(change=functools.partial(replace, data=np.full(shape, value)))
    yield whole(change=functools.partial(replace, shape=(1 << 20, 1 << 20), dtype="f4", chunks=(64, 64)))
    for chunks in ((1 << 10, 1 << 10, 1 << 9, 2), (3, 3, 1 << 20, 100)):
        for compression in (None, "gzip"):
            yield whole(
                change=functools.partial(
                    replace, shape=shape, dtype="f4", chunks=chunks, maxshape=(None,) * 4, compression=compression
                )
            )
    yield whole(change=lambda file: file.attrs.__setitem__("layer_names", np.zeros(8000, "S7")))
    yield whole(change=lambda file: file.attrs.__setitem__("layer_names", [b"conv"] * 3))
    yield whole(change=lambda file: file.attrs.__setitem__("layer_names", "conv"))
    yield whole(change=lambda file: [file.create_group(f"g{number}") for number in range(50_000)])
    yield whole(libver="latest", change=lambda file: file.attrs.__setitem__("layer_names", np.full(2_000_000, b"conv")))
    yield bytes(hdf5_arrays.MAX_BYTES + 1)


def judge(content: bytes, checked: bool) -> str:
    """``right`` when there is nothing to object to the arrays.

    Args:
        content: the file.
        checked: whether the whole file has checksums of everything, so that damage must be noticed. Others have none of
            their values, which may therefore differ where the damage is.
    """
    try:
        read = hdf5_arrays.read(content, "s3://bucket/weights.h5", "network", LAYERS)
    except ModelError as error:
        told = str(error)
        return "refused" if told.startswith("s3://bucket/weights.h5: ") and "\n" not in told else f"no reason: {told}"
    found = [array for layer in read for array in layer]
    wanted = [(shape, dtype) for _, weights in LAYERS for shape, dtype in weights]
    if [(array.shape, array.dtype.name) for array in found] != wanted:
        return "other shapes"
    if not all(np.isfinite(array).all() for array in found):
        return "values that are not finite"
    if checked and not all(map(np.array_equal, found, truth())):
        return "other values"
    return "right"


def corpus() -> Iterator[tuple[bytes, bool]]:
    """Files, and whether everything in them has a checksum."""
    numbers = random.Random(SEED)
    files = [
        whole(),
        whole(libver="latest"),
        whole(compression="gzip"),
        whole(libver="latest", compression="gzip", shuffle=True, fletcher32=True, chunks=True),
        whole(change=lambda file: file.attrs.__setitem__("keras_version", "2.1.5")),
    ]
    for content in files:
        yield content, True
    for content in bombs():
        yield content, False
    for number in range(DAMAGED):
        kind = number % len(files)
        yield damaged(files[kind], numbers), kind == 3


def take() -> dict[str, Any]:
    census = Census()
    with ThreadPoolExecutor(2) as pool:
        for outcome in pool.map(judged, corpus()):
            census.add(functools.partial(str, outcome))
    counts: dict[str, Any] = json.loads(census.json())
    # The reader is a process of its own for each file.
    readers = resource.getrusage(resource.RUSAGE_CHILDREN)
    counts["peak_mb"] = max(counts["peak_mb"], readers.ru_maxrss // 1000)
    # Not measured, since two run at a time: the kernel ends a reader at this limit, as test_keras_hdf5 shows.
    counts["slowest_s"] = hdf5_arrays.CPU_SECONDS
    return counts


def judged(file: tuple[bytes, bool]) -> str:
    try:
        return judge(*file)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    print(json.dumps(take()))
