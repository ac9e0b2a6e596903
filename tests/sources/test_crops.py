"""Crops folders by their file names.  What is written to the tables: test_ingest."""

from pathlib import Path
from typing import Any

import cv2
import pytest

from dflib.config import SourcesConfig
from dflib.errors import SourceError
from dflib.sources.chunk import Chunk, code
from dflib.sources.crops import CropFile, extractor_of, read_listing
from dflib.sources.discovery import find_crops
from dflib.sources.images import probe
from dflib.storage import Storage
from tests.sources.settings import BASE


def settings(**changes: Any) -> SourcesConfig:
    base = {"dataset": "d", "chunks": (), "crop_pattern": "<video>-<frame>-<face>", "labels": None, "layout": "auto"}
    return SourcesConfig.model_validate(BASE | base | {"crops": "", "crop_real": "real", "crop_fake": "fake"} | changes)


def listing(root: Path, **changes: Any) -> tuple[Chunk, list[CropFile]]:
    sources = settings(crops=str(root), **changes)
    (source,) = find_crops(Storage(), sources, extractor_of(sources))
    return read_listing(source, sources)


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_read_listing_takes_labels_splits_and_originals_from_names(tmp_path: Path) -> None:
    put(tmp_path, "train/real/a_0.jpg", "val/Fake/b_a_7.JPG", "real/x/c_1.png", "other/d_0.png", "real/e_0.txt")
    chunk, crops = listing(tmp_path, crop_pattern="<video>[_<original>]_<k>")
    rows = {row.video_id: (row.label, row.given_split, row.original, row.source_group) for row in chunk.videos}
    assert rows == {
        "d/a": ("REAL", "train", None, "d/a"),
        "d/b": ("FAKE", "validation", "d/a", "d/a"),
        "d/c": ("REAL", None, None, "d/c"),
    }
    assert {(crop.video_id, crop.frame, crop.face) for crop in crops} == {("d/a", 0, 0), ("d/b", 7, 0), ("d/c", 1, 0)}
    assert chunk.members == 5 and chunk.problems == []


def test_read_listing_reports_contradictions(tmp_path: Path) -> None:
    put(tmp_path, "real/a-0-0.png", "fake/a-1-0.png", "test/real/t-0-0.png", "train/real/t-0-0.png")
    chunk, crops = listing(tmp_path)
    both, split = chunk.videos
    assert both.label is None and [code(problem) for problem in both.problems] == ["LABEL_CONFLICT"]
    assert split.given_split is None and [code(problem) for problem in split.problems] == ["SPLIT_CONFLICT"]
    assert [code(problem) for problem in chunk.problems] == ["DUPLICATE"] and len(crops) == 3


def test_read_listing_reports_names_outside_the_pattern(tmp_path: Path) -> None:
    put(tmp_path, "real/a-0-0.png", "real/b.png", "real/c_0.png", "real/d\\-0-0.png")
    chunk, crops = listing(tmp_path)
    assert [code(problem) for problem in chunk.problems] == ["BAD_CROP_NAME", "BAD_CROP_NAME", "UNSAFE_NAME"]
    assert [crop.video_id for crop in crops] == ["d/a"]


def test_listed_problems_are_limited_per_code(tmp_path: Path) -> None:
    put(tmp_path, *(f"real/{number}.png" for number in range(130)))
    chunk, _ = listing(tmp_path)
    assert len(chunk.problems) == 130
    assert len(chunk.listed_problems()) == 101 and chunk.listed_problems()[-1] == "BAD_CROP_NAME: and 30 more"


def test_read_listing_rejects_folder_without_classes(tmp_path: Path) -> None:
    put(tmp_path, "a-0-0.png")
    with pytest.raises(SourceError, match=r"no image below a folder named real, fake.*sources\.crop_real"):
        listing(tmp_path)


def test_extractor_of_depends_on_settings_that_change_rows() -> None:
    names = {
        extractor_of(settings()),
        extractor_of(settings(crop_real="REAL")),
        extractor_of(settings(crop_pattern="<video>_<k>")),
        extractor_of(settings(crop_fake="df")),
    }
    assert len(names) == 3 and all(len(name) == len("crops-") + 8 for name in names)


@pytest.mark.shared
def test_read_listing_of_sample_images(sample_data: Path) -> None:
    chunk, crops = listing(sample_data / "mesonet" / "test_images", crop_pattern="<video>", crop_fake="df")
    assert {row.video_id: row.label for row in chunk.videos} == {
        "d/df00204": "FAKE",
        "d/df01254": "FAKE",
        "d/real00240": "REAL",
        "d/real00772": "REAL",
    }
    for crop in crops:
        path = crop.entry.uri.removeprefix("file://")
        kind, width, height = probe(Path(path).read_bytes())
        assert kind == "jpeg" and (height, width) == cv2.imread(path).shape[:2]
