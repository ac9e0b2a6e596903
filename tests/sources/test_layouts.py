"""Choice of layouts and what several of them say of one video."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dflib.config import SourcesConfig
from dflib.errors import ConfigError
from dflib.parts import catalog
from dflib.sources import layouts
from dflib.sources.chunk import Chunk, Source, code
from dflib.sources.discovery import find_chunks
from dflib.sources.layouts import Layout
from dflib.sources.readers import read_folder, read_zip
from dflib.storage import Storage

FAKE = "manipulated_sequences/Deepfakes/c23/videos/519_515.mp4"
REAL = "original_sequences/youtube/c23/videos/519.mp4"


def sources(**changes: Any) -> SourcesConfig:
    base = {"dataset": "d", "chunks": (), "crops": (), "crop_pattern": "<video>", "crop_real": "real"}
    base |= {"crop_fake": "fake", "crop_one_class": False, "labels": None, "layout": "auto"}
    return SourcesConfig.model_validate(base | changes)


def put(root: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def read(root: Path, layout: str = "auto") -> Chunk:
    (source,) = find_chunks(Storage(), sources(chunks=str(root), layout=layout))
    return read_folder(Storage(), source, "d", layout)


def rows(chunk: Chunk) -> dict[str, tuple[str | None, str | None, str, list[str]]]:
    return {
        row.video_id: (row.label, row.original, row.source_group, [code(problem) for problem in row.problems])
        for row in chunk.videos
    }


def test_load_gives_all_parts_for_auto_and_one_for_a_name() -> None:
    assert len(layouts.load("auto")) == len(catalog.LAYOUTS.names) >= 2
    for name in catalog.LAYOUTS.names:
        (layout,) = layouts.load(name)
        assert isinstance(layout, Layout)
        assert (layout.side_file is None) == (layout.parse is None)


def test_setting_accepts_auto_and_the_catalog() -> None:
    assert [sources(layout=name).layout for name in ("auto", "dfdc")] == ["auto", "dfdc"]
    with pytest.raises(ValueError, match="did you mean faceforensics"):
        sources(layout="faceforensic")


def test_auto_combines_identifier_of_names_with_labels_of_a_file(tmp_path: Path) -> None:
    put(tmp_path, FAKE, REAL)
    put(tmp_path, "labels.csv", content=f"video,label,original\n{FAKE},REAL,x.mp4\n".encode())
    assert rows(read(tmp_path)) == {
        "d/Deepfakes/c23/519_515": ("REAL", "d/x", "d/youtube/519", []),
        "d/youtube/c23/519": (None, None, "d/youtube/519", ["NO_METADATA_ENTRY"]),
    }
    (tmp_path / "labels.csv").unlink()
    put(tmp_path, "metadata.json", content=b'{"%s": {"label": "REAL"}}' % FAKE.encode())
    assert rows(read(tmp_path)) == {
        "d/Deepfakes/c23/519_515": ("REAL", None, "d/youtube/519", []),
        "d/youtube/c23/519": (None, None, "d/youtube/519", ["NO_METADATA_ENTRY"]),
    }


def test_auto_keeps_labels_of_names_when_metadata_is_unreadable(tmp_path: Path) -> None:
    put(tmp_path, FAKE, REAL)
    put(tmp_path, "metadata.json", content=b"{")
    chunk = read(tmp_path)
    assert {video_id: row[0] for video_id, row in rows(chunk).items()} == {
        "d/Deepfakes/c23/519_515": "FAKE",
        "d/youtube/c23/519": "REAL",
    }
    assert [code(problem) for problem in chunk.problems] == ["BAD_METADATA"]


def test_named_layout_reports_videos_that_do_not_follow_it(tmp_path: Path) -> None:
    put(tmp_path, REAL, "loose.mp4")
    assert rows(read(tmp_path)) == {
        "d/youtube/c23/519": ("REAL", None, "d/youtube/519", []),
        "d/loose": (None, None, "d/loose", []),
    }
    assert rows(read(tmp_path, "faceforensics")) == {
        "d/youtube/c23/519": ("REAL", None, "d/youtube/519", []),
        "d/loose": (None, None, "d/loose", ["NOT_IN_LAYOUT"]),
    }
    assert {video_id: row[::3] for video_id, row in rows(read(tmp_path, "dfdc")).items()} == {
        "d/original_sequences/youtube/c23/videos/519": (None, ["NOT_IN_LAYOUT"]),
        "d/loose": (None, ["NOT_IN_LAYOUT"]),
    }


def test_named_layout_ignores_side_files_of_others(tmp_path: Path) -> None:
    put(tmp_path, f"part/{REAL}")
    put(tmp_path, "part/metadata.json", content=b'{"gone.mp4": {"label": "FAKE"}}')
    found = find_chunks(Storage(), sources(chunks=str(tmp_path), layout="faceforensics"))
    assert [source.uri for source in found] == [f"file://{tmp_path}"]
    assert rows(read(tmp_path, "faceforensics")) == {"d/youtube/c23/519": ("REAL", None, "d/youtube/519", [])}


def test_zip_members_follow_layouts(zip_bytes: Callable[..., bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({FAKE: b"f", REAL: b"r"}, folder="ffpp/"))
    source = Source("zip", f"file://{path}", (Storage().stat(f"file://{path}"),))
    assert rows(read_zip(Storage(), source, "d")) == {
        "d/Deepfakes/c23/519_515": ("FAKE", "d/youtube/c23/519", "d/youtube/519", []),
        "d/youtube/c23/519": ("REAL", None, "d/youtube/519", []),
    }


def test_changed_layout_changes_etags_of_chunks(tmp_path: Path, zip_bytes: Callable[..., bytes]) -> None:
    put(tmp_path, "v/a.mp4")
    put(tmp_path, "a.zip", content=zip_bytes({"a.mp4": b"a"}))
    etags = {
        name: [source.etag for source in find_chunks(Storage(), sources(chunks=str(tmp_path), layout=name))]
        for name in ("auto", "dfdc", "faceforensics")
    }
    assert [len({etags[name][chunk] for name in etags}) for chunk in range(2)] == [3, 3]
    # Chunks that were ingested before the setting existed are still known.
    assert etags["auto"][1] == Storage().stat(f"file://{tmp_path}/a.zip").etag


def test_load_rejects_unknown_names() -> None:
    with pytest.raises((ValueError, ConfigError), match="unknown layout"):
        layouts.load("celeb")
