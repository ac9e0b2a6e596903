"""Labels by the names of folders."""

import json
from pathlib import Path

import pytest

from dflib.sources.discovery import find_chunks
from dflib.sources.layouts import Clip, SideFiles
from dflib.sources.layouts.class_folders import PART
from dflib.sources.readers import read_folder
from dflib.storage import Storage
from tests.sources.settings import sources


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("REAL/a.mp4", "REAL"),
        ("set/fake/x/a.mp4", "FAKE"),
        ("Real/real/a.mp4", "REAL"),
        ("real/fake/a.mp4", None),
        ("realistic/a.mp4", None),
        ("x/real.mp4", None),
    ],
)
def test_describe_goes_by_whole_names_of_folders(path: str, label: str | None) -> None:
    assert PART.describe(path, SideFiles()) == (Clip(label=label) if label else None)


def test_identifiers_are_those_without_a_layout(tmp_path: Path, storage: Storage) -> None:
    # A folder above the data set says nothing.
    top = tmp_path / "fake" / "set"
    for name in ("REAL/a.mp4", "x/FAKE/b.mp4", "c.mp4"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"x")
    settings = sources(chunks=top)
    (source,) = find_chunks(storage, settings)
    rows = {
        video.video_id: (video.label, video.source_group) for video in read_folder(storage, source, settings).videos
    }
    assert rows == {
        "d/REAL/a": ("REAL", "d/REAL/a"),
        "d/x/FAKE/b": ("FAKE", "d/x/FAKE/b"),
        "d/c": (None, "d/c"),
    }


def test_metadata_comes_first(tmp_path: Path, storage: Storage) -> None:
    (tmp_path / "REAL").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "REAL" / name).write_bytes(b"x")
    (tmp_path / "metadata.json").write_text(json.dumps({"REAL/a.mp4": {"label": "FAKE"}}))
    settings = sources(chunks=tmp_path)
    (source,) = find_chunks(storage, settings)
    rows = {video.video_id: video.label for video in read_folder(storage, source, settings).videos}
    assert rows == {"d/REAL/a": "FAKE", "d/REAL/b": None}
