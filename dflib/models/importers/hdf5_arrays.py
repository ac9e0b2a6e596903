"""Reads the arrays of an HDF5 weights file in a process of its own: ``python -m dflib.models.importers.hdf5_arrays``.

A damaged HDF5 file can make its library loop without end, allocate gigabytes or crash.  :func:`read` starts a process
with limits on CPU time, memory and output, and takes nothing from it but numbers of known sizes, or one line of text.
"""

import contextlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dflib.errors import ModelError

MAX_BYTES = 256 << 20
"""Largest file; the largest networks of the catalog have a tenth of this."""
CPU_SECONDS = 10
"""CPU time for a file; one of 256 MB takes under 2 s."""
WALL_SECONDS = 120
"""Elapsed time after which a process that waits for something is ended."""
SPARE_MEMORY = 512 << 20
"""Memory for Python and its libraries, in addition to the file's size and twice that of the arrays."""
MAX_LAYERS = 10_000
"""Most layers that a file may name."""
MAX_ATTRIBUTE = 1 << 20
"""Largest list of names in bytes."""

COMMAND = ("-m", "dflib.models.importers.hdf5_arrays")
"""Arguments of Python that start the reader."""

_FIX = "use HDF5 weights of exactly this network, or set the network to that of the file"

Layer = tuple[str, list[tuple[tuple[int, ...], str]]]
"""Name of a layer of a network, and the shapes and dtypes of its weights."""


def read(content: bytes, source: str, network: str, layers: Sequence[Layer]) -> list[list[npt.NDArray[Any]]]:
    """The arrays of each layer, in the order, shapes and dtypes of the network's weights.

    Args:
        content: the file.
        source: URI or path of the file, for messages.
        network: name of the network, for messages.
        layers: the network's layers that have weights.

    Raises:
        ModelError: the file is too large, not HDF5, damaged, holds other layers or shapes, or values that are not
            finite in the network's dtype; or reading it took more than the limits.
    """
    if len(content) > MAX_BYTES:
        raise ModelError(f"{source}: {len(content):,} bytes; a weights file has at most {MAX_BYTES:,}; {_FIX}")
    sizes = [[int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in weights] for _, weights in layers]
    expected = sum(map(sum, sizes))
    with tempfile.TemporaryDirectory(prefix="dflib-weights-") as scratch:
        folder = Path(scratch)
        (folder / "weights.h5").write_bytes(content)
        (folder / "wanted.json").write_text(json.dumps([network, layers]))
        reason = _run(folder, memory=SPARE_MEMORY + len(content) + 2 * expected, output=expected)
        arrays = folder / "arrays"
        if reason is None and (not arrays.is_file() or arrays.stat().st_size != expected):
            reason = f"not a readable HDF5 weights file (its reader wrote other sizes than it checked); {_FIX}"
        if reason is not None:
            raise ModelError(f"{source}: {reason}")
        raw = arrays.read_bytes()
    found, place = [], 0
    for (_, weights), own in zip(layers, sizes, strict=True):
        values = []
        for (shape, dtype), size in zip(weights, own, strict=True):
            values.append(np.frombuffer(raw[place : place + size], dtype).reshape(shape))
            place += size
        found.append(values)
    return found


def _run(folder: Path, memory: int, output: int) -> str | None:
    """Runs the reader; returns why it failed, or None."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DFLIB_"))}
    environment |= {
        "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path),
        # Each thread of a numerical library would reserve memory.
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    command = [sys.executable, *COMMAND, str(folder), str(memory), str(output)]
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            timeout=WALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"reading it took more than {WALL_SECONDS} s, so it is damaged; download it again"
    with contextlib.suppress(OSError, ValueError):
        # Text of the reader: what a damaged file makes it say is cut, and cannot span lines.
        return " ".join((folder / "reason").read_text(errors="replace")[:2000].split())
    if ended.returncode == 0:
        return None
    if ended.returncode == -signal.SIGXCPU:
        return f"reading it took more than {CPU_SECONDS} s of CPU time, so it is damaged; download it again"
    return f"reading it ended with code {ended.returncode}, so it is damaged; download it again"


def _main() -> None:
    folder, memory, output = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for limit, value in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, output + (1 << 16)),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # The hard limit on CPU time stays, because the kernel would send SIGKILL, which says less than SIGXCPU.
        resource.setrlimit(limit, (value, hard if limit == resource.RLIMIT_CPU else value))
    network, layers = json.loads((folder / "wanted.json").read_bytes())
    try:
        arrays = _read(folder / "weights.h5", network, layers)
        with (folder / "arrays").open("wb") as file:
            for array in arrays:
                file.write(array.tobytes())
    except ModelError as error:
        reason = str(error)
    except MemoryError:
        reason = f"reading it takes more than {memory >> 20:,} MiB of memory, so it is damaged; download it again"
    except Exception as error:
        # h5py raises OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError and others on files that are
        # not HDF5, truncated or inconsistent.
        reason = f"not a readable HDF5 weights file ({type(error).__name__}: {str(error)[:500]}); {_FIX}"
    else:
        return
    (folder / "reason").write_text(reason, errors="replace")
    raise SystemExit(1)


def _read(path: Path, network: str, layers: list[Any]) -> list[npt.NDArray[Any]]:
    import h5py

    with h5py.File(path, "r") as file:
        root = _group(file, "model_weights") if "model_weights" in file else file
        if "layer_names" not in root.attrs:
            raise ModelError(f"HDF5, but not Keras weights (it has no layer_names); {_FIX}")
        groups = [(name, _group(root, name)) for name in _texts(root, "layer_names")]
        filled = [(name, group, _texts(group, "weight_names")) for name, group in groups]
        filled = [entry for entry in filled if entry[2]]
        if len(filled) != len(layers):
            raise ModelError(f"holds {len(filled)} layers with weights, {network} has {len(layers)}; {_FIX}")
        return [
            array
            for (own, weights), entry in zip(layers, filled, strict=True)
            for array in _arrays(own, weights, entry, network)
        ]


def _arrays(own: str, weights: list[Any], entry: tuple[str, Any, list[str]], network: str) -> list[npt.NDArray[Any]]:
    stored_name, group, weight_names = entry
    wanted = [tuple(shape) for shape, _ in weights]
    if len(weight_names) != len(wanted):
        raise ModelError(
            f"layer {stored_name} has {len(weight_names)} weights, {own} of {network} has {len(wanted)}; {_FIX}"
        )
    data_sets = [_data_set(group, name) for name in weight_names]
    stored = [data_set.shape for data_set in data_sets]
    # Shapes are checked before contents are read: a small file can declare an array larger than memory.
    if stored != wanted:
        raise ModelError(f"layer {stored_name} has the shapes {stored}, {own} of {network} has {wanted}; {_FIX}")
    return [
        _values(name, data_set, np.dtype(dtype))
        for name, data_set, (_, dtype) in zip(weight_names, data_sets, weights, strict=True)
    ]


def _values(name: str, data_set: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if data_set.dtype.kind not in "fiu" or data_set.dtype.itemsize > 8:
        raise ModelError(f"{name} holds {data_set.dtype}, not numbers of up to 64 bits; {_FIX}")
    # A chunk is read whole, and may be declared far larger than the array.
    chunk = int(np.prod([int(side) for side in data_set.chunks or ()], dtype=object)) * data_set.dtype.itemsize
    if chunk > max(1 << 20, 2 * data_set.size * data_set.dtype.itemsize):
        raise ModelError(f"{name} is stored in pieces of {chunk:,} bytes, more than it has; download the file again")
    if not _is_written(data_set):
        # HDF5 reads zeros, or what the file names, for what was never written.
        raise ModelError(f"{name} has values that were never written to the file; download or save it again")
    values = np.asarray(data_set[()])
    if not np.isfinite(values).all():
        raise ModelError(f"{name} holds values that are not finite; download the file again")
    with np.errstate(all="ignore"):
        converted = values.astype(dtype)
    if not np.isfinite(converted).all() or (dtype.kind != "f" and (converted != values).any()):
        largest = np.abs(values.astype(np.float64)).max()
        raise ModelError(
            f"{name} holds values as large as {largest:.3g}, which are not finite or exact in {dtype}; {_FIX}"
        )
    return converted


def _is_written(data_set: Any) -> bool:
    if not data_set.size:
        return True
    if not data_set.chunks:
        return int(data_set.id.get_storage_size()) > 0
    chunks = math.prod(-(-side // piece) for side, piece in zip(data_set.shape, data_set.chunks, strict=True))
    return bool(data_set.id.get_num_chunks() == chunks)


def _group(parent: Any, path: str) -> Any:
    import h5py

    found = _walk(parent, path)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{path} is not a group")
    return found


def _data_set(parent: Any, path: str) -> Any:
    import h5py

    found = _walk(parent, path)
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{path} is not an array of this file")
    return found


def _walk(parent: Any, path: str) -> Any:
    """The object at ``path`` below ``parent``. Follows hard links only, since other links may leave the file."""
    import h5py

    for part in path.split("/"):
        link = parent.get(part, getlink=True) if isinstance(parent, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{path} does not exist or points outside the file")
        parent = parent[part]
    return parent


def _texts(holder: Any, attribute: str) -> list[str]:
    """A list of names, checked before it is read."""
    import h5py

    stored = holder.attrs.get_id(attribute)
    count = int(np.prod([int(side) for side in stored.shape], dtype=object))
    if not count:
        return []
    if count > MAX_LAYERS or stored.get_storage_size() > MAX_ATTRIBUTE:
        raise ModelError(f"{attribute} has {count:,} entries in {stored.get_storage_size():,} bytes; {_FIX}")
    # A fixed size of bytes, or text of any length; anything else is no list of names.
    if stored.dtype.kind != "S" and h5py.check_string_dtype(stored.dtype) is None:
        raise ModelError(f"{attribute} holds {stored.dtype}, not names; {_FIX}")
    values = np.atleast_1d(holder.attrs[attribute])
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


if __name__ == "__main__":
    _main()
