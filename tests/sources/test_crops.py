"""Crops folders by their file names.  What is written to the tables: test_ingest."""

import re
from pathlib import Path
from typing import Any

import cv2
import pytest

from dflib.config import SourcesConfig
from dflib.errors import SourceError
from dflib.sources.chunk import Chunk, code
from dflib.sources.crops import CropFile, extractor_of, read_listing
from dflib.sources.discovery import find_crops
from dflib.sources.images import ENDINGS, read
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
    assert chunk.members == 5 and chunk.listed_problems() == [
        "NOT_IMAGE: 1 file .txt, first 'real/e_0.txt'",
        "NOT_IN_CLASS_FOLDER: 1 file below 'other', first 'other/d_0.png'",
    ]


def test_read_listing_reports_contradictions(tmp_path: Path) -> None:
    put(tmp_path, "real/a-0-0.png", "fake/a-1-0.png", "test/real/t-0-0.png", "train/real/t-0-0.png")
    chunk, crops = listing(tmp_path)
    both, split = chunk.videos
    assert both.label is None and [code(problem) for problem in both.problems] == ["LABEL_CONFLICT"]
    assert split.given_split is None and [code(problem) for problem in split.problems] == ["SPLIT_CONFLICT"]
    assert [code(problem) for problem in chunk.listed_problems()] == ["DUPLICATE"] and len(crops) == 3


def test_read_listing_reports_names_outside_the_pattern(tmp_path: Path) -> None:
    put(tmp_path, "real/a-0-0.png", "real/b.png", "real/c_0.png", "real/d\\-0-0.png")
    chunk, crops = listing(tmp_path, crop_one_class=True)
    assert [code(problem) for problem in chunk.listed_problems()] == ["BAD_CROP_NAME", "UNSAFE_NAME"]
    assert [crop.video_id for crop in crops] == ["d/a"]


def test_names_outside_the_pattern_are_counted_together(tmp_path: Path) -> None:
    put(tmp_path, "real/a-0-0.png", "fake/b-0-0.png", *(f"real/{number}.png" for number in range(130)))
    chunk, _ = listing(tmp_path)
    text = "BAD_CROP_NAME: 130 files that do not follow <video>-<frame>-<face>, first 'real/0.png'"
    assert chunk.listed_problems() == [text]


def test_read_listing_rejects_folder_without_classes(tmp_path: Path) -> None:
    put(tmp_path, "a-0-0.png")
    with pytest.raises(SourceError, match=r"no image below a folder named real, fake.*sources\.crop_real"):
        listing(tmp_path)


def test_every_file_is_a_crop_or_counted(tmp_path: Path) -> None:
    """One file of every kind; the truth is the tree on the disk."""
    taken = {f"real/v{number}-0-0{ending}" for number, ending in enumerate(ENDINGS)} | {"fake/UP-0-0.JPG"}
    left = {
        "BAD_CROP_NAME": {"real/name.png"},
        "UNSAFE_NAME": {"real/a\\b-0-0.png"},
        "DUPLICATE": {"train/fake/UP-0-0.png"},
        "HIDDEN": {".DS_Store", "real/._v0-0-0.jpg", "__MACOSX/real/v0-0-0.jpg"},
        "NOT_IMAGE": {"README", "real/a.txt", "real/b.TXT", "fake/a-0-0.heic", "train/Thumbs.db"},
        "NOT_IN_CLASS_FOLDER": {"top-0-0.jpg", "train/x-0-0.jpg", "train/manipulated/1/a-0-0.jpg", "df/2/b-0-0.jpg"},
    }
    put(tmp_path, *taken, *(name for held in left.values() for name in held))
    chunk, crops = listing(tmp_path)
    on_disk = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert chunk.members == len(on_disk) == len(taken) + sum(map(len, left.values()))
    assert {crop.name for crop in crops} == taken
    counts = dict.fromkeys(left, 0)
    for problem in chunk.listed_problems():
        grouped = re.match(r"\w+: (\d+) files?", problem)
        counts[code(problem)] += int(grouped[1]) if grouped else 1
    assert counts == {name: len(held) for name, held in left.items()}
    assert [problem for problem in chunk.listed_problems() if code(problem) == "NOT_IN_CLASS_FOLDER"] == [
        "NOT_IN_CLASS_FOLDER: 1 file below 'df', first 'df/2/b-0-0.jpg'",
        "NOT_IN_CLASS_FOLDER: 1 file outside all folders, first 'top-0-0.jpg'",
        "NOT_IN_CLASS_FOLDER: 1 file below 'train/manipulated', first 'train/manipulated/1/a-0-0.jpg'",
        "NOT_IN_CLASS_FOLDER: 1 file below 'train', first 'train/x-0-0.jpg'",
    ]
    assert "NOT_IMAGE: 2 files .txt, first 'real/a.txt'" in chunk.listed_problems()


def test_read_listing_refuses_one_class_and_names_what_was_not_read(tmp_path: Path) -> None:
    put(tmp_path, "real/a-0-0.jpg", *(f"train/manipulated/{n}/f{n}-0-0.jpg" for n in range(1396)), "notes/n-0-0.png")
    with pytest.raises(SourceError) as caught:
        listing(tmp_path)
    assert str(caught.value) == (
        f"file://{tmp_path}: all 1 crops are REAL; not read: 'notes' (1 images), 'train/manipulated' (1,396 images); "
        "set sources.crop_fake=fake,manipulated, or sources.crop_one_class=true if the other class is meant to be "
        "missing"
    )
    chunk, crops = listing(tmp_path, crop_fake="fake,manipulated")
    assert len(crops) == 1397 and len(chunk.listed_problems()) == 1
    chunk, crops = listing(tmp_path, crop_one_class=True)
    assert [crop.label for crop in crops] == ["REAL"]
    with pytest.raises(SourceError, match=r"all 1,396 crops are FAKE;.*; set sources\.crop_real=x,real, or"):
        listing(tmp_path, crop_real="x", crop_fake="manipulated")
    with pytest.raises(SourceError, match=r"set sources\.crop_fake to the names of the folders with FAKE crops, or"):
        listing(tmp_path, crop_fake="notes/x", crop_real="real,manipulated,notes")


def test_read_listing_refuses_a_class_of_which_no_name_follows_the_pattern(tmp_path: Path) -> None:
    put(tmp_path, "real/a-0-0.jpg", "fake/b_0.jpg", "fake/c_0.jpg")
    with pytest.raises(SourceError, match=r"all 1 crops are REAL \(2 images of the other class do not follow"):
        listing(tmp_path)


def test_read_listing_suggests_the_pattern_that_fits(tmp_path: Path) -> None:
    put(tmp_path, *(f"real/v{n}_{n % 3}.jpg" for n in range(1400)), *(f"fake/w{n}_v{n}_1.jpg" for n in range(1396)))
    with pytest.raises(SourceError, match=r"none of the 2,796 images .* 2,796 of them \(100%\) follow") as caught:
        listing(tmp_path)
    assert "sources.crop_pattern='<video>[_<original>]_<k>'" in str(caught.value)


def test_read_listing_names_classes_that_are_called_otherwise(tmp_path: Path) -> None:
    put(tmp_path, "original/a-0-0.jpg", "df/b-0-0.jpg")
    with pytest.raises(SourceError, match=r"set sources\.crop_real=real,original sources\.crop_fake=fake,df"):
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
        picture = read(Path(path).read_bytes())
        assert picture.format == "jpeg" and (picture.height, picture.width) == cv2.imread(path).shape[:2]
