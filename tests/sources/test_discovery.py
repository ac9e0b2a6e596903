"""Chunks and crops folders behind URIs and globs."""

from pathlib import Path
from typing import Any

import pytest

from dflib.config import SourcesConfig
from dflib.errors import SourceError
from dflib.sources.discovery import find_chunks, find_crops
from dflib.storage import Storage


def sources(**changes: Any) -> SourcesConfig:
    base = {
        "dataset": "d",
        "chunks": (),
        "crops": (),
        "crop_pattern": "<video>",
        "crop_real": "real",
        "crop_fake": "fake",
        "crop_one_class": False,
        "layout": "auto",
        "labels": None,
    }
    return SourcesConfig.model_validate(base | changes)


def put(root: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def found(storage: Storage, *patterns: object) -> list[tuple[str, str, int]]:
    chunks = find_chunks(storage, sources(chunks=tuple(map(str, patterns))))
    return [(source.kind, source.name, len(source.files)) for source in chunks]


def test_find_chunks_divides_a_folder(storage: Storage, tmp_path: Path) -> None:
    put(tmp_path, "b.zip", "deep/A.ZIP", "part_1/metadata.json", "part_1/x.mp4", "part_1/sub/y.mp4", "loose/z.mp4")
    put(tmp_path, "readme.txt", "part_2/metadata.json")
    assert sorted(found(storage, tmp_path)) == [
        ("folder", "part_1", 3),
        ("folder", "part_2", 1),
        ("folder", tmp_path.name, 2),
        ("zip", "A", 1),
        ("zip", "b", 1),
    ]


def test_find_chunks_returns_each_chunk_once(storage: Storage, tmp_path: Path) -> None:
    put(tmp_path, "a.zip", "b.zip", "truth.json", "part/v.mp4")
    assert found(storage, tmp_path / "*.zip", tmp_path / "a.zip") == [("zip", "a", 1), ("zip", "b", 1)]
    assert found(storage, tmp_path / "*") == [("zip", "a", 1), ("zip", "b", 1), ("folder", "part", 1)]


@pytest.mark.parametrize("pattern", ["none", "none/*", "none.zip", "*.zip", "empty", "truth.json", "*.json", "texts"])
def test_find_chunks_without_match_names_the_pattern(storage: Storage, tmp_path: Path, pattern: str) -> None:
    put(tmp_path, "truth.json", "texts/a.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        found(storage, tmp_path / pattern)
    assert f"{tmp_path}/{pattern}" in str(caught.value)


def test_etag_of_a_folder_changes_with_listing_labels_and_settings(storage: Storage, tmp_path: Path) -> None:
    def etag(**changes: Any) -> str:
        return find_chunks(storage, sources(chunks=str(tmp_path / "v"), **changes))[0].etag

    put(tmp_path, "v/a.mp4", "v/b.mp4", "l.csv", "m.csv")
    first = etag()
    assert etag() == first
    seen = {first, etag(labels=str(tmp_path / "l.csv")), etag(labels=str(tmp_path / "m.csv")), etag(dataset="e")}
    put(tmp_path, "v/labels.csv")
    seen.add(etag())
    put(tmp_path, "v/b.mp4", content=b"xx")
    seen.add(etag())
    (tmp_path / "v" / "a.mp4").rename(tmp_path / "v" / "c.mp4")
    seen.add(etag())
    assert len(seen) == 7


def test_find_crops_returns_folders_with_files(storage: Storage, tmp_path: Path) -> None:
    put(tmp_path, "one/real/a.png", "two/fake/b.png")
    (tmp_path / "three").mkdir()
    crops = find_crops(storage, sources(crops=str(tmp_path / "*")), "settings")
    assert [(source.kind, source.name, len(source.files)) for source in crops] == [
        ("crops", "one", 1),
        ("crops", "two", 1),
    ]
    other = find_crops(storage, sources(crops=str(tmp_path / "one")), "others")
    assert other[0].etag != crops[0].etag
    for pattern in ("three", "none", "x*"):
        with pytest.raises(SourceError, match=r"sources\.crops"):
            find_crops(storage, sources(crops=str(tmp_path / pattern)), "")


def test_find_chunks_rejects_unsafe_names(storage: Storage, tmp_path: Path) -> None:
    put(tmp_path, "a\udcff.zip")
    with pytest.raises(SourceError, match="rename it"):
        found(storage, tmp_path)
