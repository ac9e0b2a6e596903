"""Zips and folders made for these tests."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dflib.sources.model import Chunk, Source
from dflib.sources.readers import read_zip
from dflib.storage import Storage

ZipBytes = Callable[..., bytes]


@pytest.fixture(scope="session")
def zip_bytes() -> ZipBytes:
    """Makes a zip of named contents with the standard library."""

    def make(
        files: Mapping[str, bytes], metadata: object = None, folder: str = "part/", packing: int = zipfile.ZIP_STORED
    ) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", packing) as archive:
            for name, content in files.items():
                archive.writestr(folder + name, content)
            if metadata is not None:
                text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
                archive.writestr(folder + "metadata.json", text)
        return buffer.getvalue()

    return make


@pytest.fixture
def read_bytes_as_zip(tmp_path: Path, storage: Storage) -> Callable[[bytes], Chunk]:
    """Writes bytes to ``chunk.zip`` and reads them as a chunk of the data set ``d``."""

    def read(content: bytes) -> Chunk:
        path = tmp_path / "chunk.zip"
        path.write_bytes(content)
        uri = f"file://{path}"
        return read_zip(storage, Source("zip", uri, (storage.stat(uri),)), "d")

    return read
