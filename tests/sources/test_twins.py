"""Videos of one identifier and one size, compared by their bytes."""

import functools
import zipfile
from pathlib import Path

import pytest

from dflib.sources.chunk import Chunk
from dflib.sources.discovery import find_chunks
from dflib.sources.readers import read_folder, read_zip
from dflib.sources.reconcile import clashing
from dflib.sources.twins import same_bytes
from dflib.storage import Storage
from tests.sources.settings import sources


def read(path: Path) -> Chunk:
    settings, storage = sources(chunks=path), Storage()
    (source,) = find_chunks(storage, settings)
    return (read_zip if source.kind == "zip" else read_folder)(storage, source, settings)


@pytest.mark.parametrize("other", [b"x" * 70_000, b"x" * 69_999 + b"y"], ids=["equal", "different"])
@pytest.mark.parametrize("zipped", [False, True])
def test_chunks_whose_videos_have_one_size_clash_when_the_bytes_differ(
    tmp_path: Path, other: bytes, zipped: bool
) -> None:
    content = b"x" * 70_000
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.mp4").write_bytes(content)
    second = tmp_path / "two"
    if zipped:
        second = tmp_path / "two.zip"
        with zipfile.ZipFile(second, "w") as archive:
            archive.writestr("a.mp4", other)
    else:
        second.mkdir()
        (second / "a.mp4").write_bytes(other)
    for chunks in ([read(tmp_path / "one"), read(second)], [read(second), read(tmp_path / "one")]):
        seen = {chunk.source.uri for chunk in chunks}
        storage = Storage()
        reasons = clashing({}, chunks, seen, functools.partial(same_bytes, storage))
        assert list(reasons) == ([] if other == content else [chunks[1].source.uri])
        assert storage.counters.bytes_read <= max(len(content), 2 << 16)
