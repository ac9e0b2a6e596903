"""HDF5 weights: the published files, files of tf-keras, and hostile files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from dflib.errors import ModelError
from dflib.models import importers, networks
from dflib.models.importers import hdf5_arrays
from dflib.models.importers.keras_hdf5 import load_weights


def values(network: Any) -> list[np.ndarray]:
    return [np.array(value) for value in network.get_weights()]


@pytest.fixture(scope="module")
def donor() -> Any:
    return networks.build("meso4", 64)


@pytest.fixture
def good(donor: Any, tmp_path: Path) -> Path:
    file = tmp_path / "good.h5"
    donor.save_weights(file)
    return file


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "p_real"),
    [
        ("Meso4_DF.h5", [0.0304, 0.0281, 0.9897, 0.9983]),
        ("Meso4_F2F.h5", [0.8222, 0.7676, 0.8810, 0.9585]),
    ],
)
def test_read_of_published_weights_gives_the_published_probabilities(
    sample_data: Path, file: str, p_real: list[float]
) -> None:
    folder = sample_data / "mesonet"
    network = importers.load("keras_hdf5").read((folder / file).read_bytes(), file, "meso4", 256)
    images = [
        cv2.resize(cv2.imread(str(path))[:, :, ::-1], (256, 256), interpolation=cv2.INTER_NEAREST)
        for path in sorted((folder / "test_images").rglob("*.jpg"))
    ]
    np.testing.assert_allclose(network(np.stack(images), training=False).numpy()[:, 0], p_real, atol=1e-3)


@pytest.mark.shared
def test_load_weights_refuses_those_of_another_network(sample_data: Path) -> None:
    content = (sample_data / "mesonet" / "MesoInception_DF.h5").read_bytes()
    with pytest.raises(ModelError, match="22 layers with weights, meso4 has 10"):
        load_weights(networks.build("meso4", 256), content, "MesoInception_DF.h5")


@pytest.mark.parametrize("whole_model", [False, True])
def test_load_weights_reads_files_of_tf_keras(donor: Any, tmp_path: Path, whole_model: bool) -> None:
    file = tmp_path / "saved.h5"
    (donor.save if whole_model else donor.save_weights)(file)
    network = networks.build("meso4", 64)
    load_weights(network, file.read_bytes(), "saved.h5")
    for loaded, wanted in zip(values(network), values(donor), strict=True):
        assert np.array_equal(loaded, wanted)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3000])


def make_garbage(file: Path) -> None:
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 20)


def make_pickle(file: Path) -> None:
    file.write_bytes(b"\x80\x04\x95\x10")


def make_empty(file: Path) -> None:
    file.write_bytes(b"")


def remove_layer_names(file: Path) -> None:
    with h5py.File(file, "a") as content:
        del content.attrs["layer_names"]


def remove_layer(file: Path) -> None:
    with h5py.File(file, "a") as content:
        del content[first_convolution(content)]


def remove_layer_from_names(file: Path) -> None:
    with h5py.File(file, "a") as content:
        content.attrs["layer_names"] = [
            name for name in content.attrs["layer_names"] if name != first_convolution(content)
        ]


def declare_huge_array(file: Path) -> None:
    with h5py.File(file, "a") as content:
        place = kernel(content)
        del content[place]
        content.create_dataset(place, shape=(1 << 20, 1 << 20), dtype="f4", chunks=(64, 64))


def store_text(file: Path) -> None:
    with h5py.File(file, "a") as content:
        place = kernel(content)
        shape = content[place].shape
        del content[place]
        content.create_dataset(place, shape=shape, dtype="S4")


def store_nan(file: Path) -> None:
    with h5py.File(file, "a") as content:
        content[kernel(content)][0] = np.nan


def add_external_link(file: Path) -> None:
    with h5py.File(file, "a") as content:
        place = kernel(content)
        content.move(place, "kept")
        outside = file.with_name("outside.h5")
        with h5py.File(outside, "w") as other:
            content.copy("kept", other)
        content[place] = h5py.ExternalLink(str(outside), "/kept")


def add_soft_link(file: Path) -> None:
    with h5py.File(file, "a") as content:
        place = kernel(content)
        content.move(place, "kept")
        content[place] = h5py.SoftLink("/kept")


def add_external_storage(file: Path) -> None:
    with h5py.File(file, "a") as content:
        place = kernel(content)
        array = content[place][()]
        del content[place]
        outside = file.with_name("outside.bin")
        outside.write_bytes(array.tobytes())
        content.create_dataset(place, shape=array.shape, dtype="f4", external=[(str(outside), 0, array.nbytes)])


def add_virtual_array(file: Path) -> None:
    with h5py.File(file, "a") as content:
        place = kernel(content)
        shape = content[place].shape
        del content[place]
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource(str(file.with_name("outside.h5")), "kept", shape)
        content.create_virtual_dataset(place, layout)


def store_large_number(file: Path) -> None:
    """Finite as it is stored, and infinite in the network."""
    with h5py.File(file, "a") as content:
        place = kernel(content)
        array = content[place][()].astype("f8")
        array.flat[3] = 1e300
        del content[place]
        content[place] = array


def store_complex(file: Path) -> None:
    with h5py.File(file, "a") as content:
        place = kernel(content)
        array = content[place][()].astype("c16")
        del content[place]
        content[place] = array


def store_in_oversized_chunks(file: Path) -> None:
    """A chunk is read whole: 4 GB for 2,400 bytes."""
    with h5py.File(file, "a") as content:
        place = kernel(content)
        shape = content[place].shape
        del content[place]
        maximum = (None,) * len(shape)
        content.create_dataset(
            place, shape, "f4", chunks=(1 << 10, 1 << 10, 1 << 9, 2), maxshape=maximum, fillvalue=1.0
        )


def never_write(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        name = kernel(content)
        shape = content[name].shape
        del content[name]
        content.create_dataset(name, shape, "f4")


def never_write_chunks(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        name = kernel(content)
        shape = content[name].shape
        del content[name]
        content.create_dataset(name, shape, "f4", chunks=(1, *shape[1:]), compression="gzip")


def write_some_chunks(file: Path) -> None:
    never_write_chunks(file)
    with h5py.File(file, "r+") as content:
        content[kernel(content)][0] = 0.5


def name_numbers(file: Path) -> None:
    with h5py.File(file, "a") as content:
        content.attrs["layer_names"] = np.arange(10)


def first_convolution(content: h5py.File) -> str:
    return next(name for name in content.attrs["layer_names"] if name.startswith("conv2d"))


def kernel(content: h5py.File) -> str:
    """Path of its kernel."""
    layer = first_convolution(content)
    return f"{layer}/{layer}/kernel:0"


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (truncate, "not a readable HDF5"),
        (make_garbage, "not a readable HDF5"),
        (make_pickle, "not a readable HDF5"),
        (make_empty, "not a readable HDF5"),
        (remove_layer_names, "no layer_names"),
        (remove_layer, "does not exist"),
        (remove_layer_from_names, "holds 9 layers"),
        (declare_huge_array, "has the shapes"),
        (store_text, "not numbers"),
        (store_nan, "not finite"),
        (store_large_number, r"as large as 1e\+300, which are not finite or exact in float32"),
        (store_complex, "not numbers"),
        (store_in_oversized_chunks, "in pieces of 4,294,967,296 bytes"),
        (never_write, "never written"),
        (never_write_chunks, "never written"),
        (write_some_chunks, "never written"),
        (name_numbers, "layer_names holds int64, not names"),
        (add_external_link, "points outside the file"),
        (add_soft_link, "points outside the file"),
        (add_external_storage, "not an array of this file"),
        (add_virtual_array, "not an array of this file"),
    ],
)
def test_load_weights_refuses_a_hostile_file_and_changes_nothing(
    good: Path, corrupt: Callable[[Path], None], message: str
) -> None:
    corrupt(good)
    network = networks.build("meso4", 64)
    before = values(network)
    with pytest.raises(ModelError, match=message) as caught:
        load_weights(network, good.read_bytes(), "s3://bucket/weights.h5")
    assert str(caught.value).startswith("s3://bucket/weights.h5: ")
    for after, was in zip(values(network), before, strict=True):
        assert np.array_equal(after, was)


def test_load_weights_refuses_those_of_another_input_size(good: Path) -> None:
    with pytest.raises(ModelError, match=r"has the shapes \[\(64, 16\), \(16,\)\]"):
        load_weights(networks.build("meso4", 256), good.read_bytes(), "good.h5")


def test_load_weights_takes_numbers_of_other_types(donor: Any, good: Path) -> None:
    with h5py.File(good, "a") as content:
        place = kernel(content)
        array = content[place][()]
        del content[place]
        content[place] = array.astype("f8")
    network = networks.build("meso4", 64)
    load_weights(network, good.read_bytes(), "good.h5")
    assert np.array_equal(values(network)[0], values(donor)[0])


WANTED: list[hdf5_arrays.Layer] = [("dense", [((2, 3), "float32"), ((3,), "int64")])]


def test_load_weights_takes_compressed_chunks(donor: Any, good: Path) -> None:
    with h5py.File(good, "r+") as content:
        name = kernel(content)
        stored = content[name][()]
        del content[name]
        content.create_dataset(name, data=stored, chunks=(2, *stored.shape[1:]), compression="gzip")
    network = networks.build("meso4", 64)
    load_weights(network, good.read_bytes(), "good.h5")
    for loaded, wanted in zip(values(network), values(donor), strict=True):
        assert np.array_equal(loaded, wanted)


def test_read_refuses_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_arrays, "MAX_BYTES", 10)
    with pytest.raises(ModelError, match=r"x\.h5: 11 bytes; a weights file has at most 10"):
        hdf5_arrays.read(bytes(11), "x.h5", "n", WANTED)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with code -11"),
        ("while True: pass", "more than 1 s of CPU time"),
        ("bytearray(2 << 30)", "MiB of memory"),
        ("import time; time.sleep(60)", "more than 3 s"),
        ("open('arrays', 'wb').write(bytes(47)); raise SystemExit", "wrote other sizes"),
        ("open('arrays', 'wb').write(bytes(1 << 20))", "ended with code -25|File too large"),
    ],
)
def test_read_outlives_whatever_the_library_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, message: str
) -> None:
    """A library in place of h5py does what damaged files have made it do."""
    (tmp_path / "h5py.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(hdf5_arrays, "WALL_SECONDS", 3 if "sleep" in code else 60)
    monkeypatch.setattr(hdf5_arrays, "CPU_SECONDS", 1)
    shortened = "import dflib.models.importers.hdf5_arrays as reader; reader.CPU_SECONDS = 1; reader._main()"
    monkeypatch.setattr(hdf5_arrays, "COMMAND", ["-c", shortened])
    with pytest.raises(ModelError, match=rf"^x\.h5: .*({message})"):
        hdf5_arrays.read(b"content", "x.h5", "n", WANTED)
