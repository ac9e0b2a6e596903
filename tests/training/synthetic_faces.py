"""Small tables and training sets of synthetic faces: fakes are reddish, real faces bluish."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dflib.config import Config
from dflib.config import load as conf_files
from dflib.tables.schemas import EXTRACTIONS, FACES, SPLITS, TRAINING_SET, VIDEOS
from dflib.tables.store import Tables
from tests.table_rows import add

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXTRACTOR = "even4-mtcnn-00000000"


@dataclass(frozen=True)
class Clip:
    """A video of the synthetic tables; a fake names its original."""

    name: str
    original: str | None = None
    chunk: str = "chunk_0"
    faces: int = 2
    label: str | None = ""
    group: str | None = None
    given: str | None = "train"
    static: int = 0

    @property
    def row(self) -> dict[str, Any]:
        label = ("FAKE" if self.original else "REAL") if self.label == "" else self.label
        return {
            "video_id": f"made/{self.name}", "dataset": "made", "chunk": self.chunk, "label": label,
            "original": f"made/{self.original}" if self.original else None,
            "source_group": f"made/{self.group or self.original or self.name}", "given_split": self.given,
            "problems": [], "ingested_at": NOW, "fingerprint": "1",
        }  # fmt: skip


def jpeg(rng: np.random.Generator, fake: bool, side: int = 48) -> bytes:
    """A JPEG of noise, reddish when it is fake and bluish when it is real."""
    noise = cv2.GaussianBlur(rng.integers(0, 140, (side, side, 3)).astype(np.uint8), (0, 0), 2)
    noise[:, :, 2 if fake else 0] += 90
    encoded, content = cv2.imencode(".jpg", noise)
    assert encoded
    return bytes(content.tobytes())


def face_rows(clips: Iterable[Clip], extractor: str = EXTRACTOR) -> list[dict[str, Any]]:
    """Rows of ``faces``; the box lies at (10, 20) of the frame, the crop at (4, 14), enlarged to twice its size."""
    rng = np.random.default_rng(5)
    rows = []
    for clip in clips:
        for frame in range(clip.faces):
            video_id = clip.row["video_id"]
            rows.append(
                {
                    "face_id": f"{video_id}|{extractor}|{frame}|0", "video_id": video_id, "extractor": extractor,
                    "frame_index": frame, "face_index": 0, "track": 0, "static": frame < clip.static,
                    "box_x": 10.0, "box_y": 20.0, "box_w": 12.0, "box_h": 12.0,
                    "landmarks": [float(11 + number) for number in range(10)], "confidence": 0.99, "crop_x": 4.0,
                    "crop_y": 14.0, "crop_scale": 2.0, "crop_w": 48, "crop_h": 48, "format": "jpeg",
                    "image": jpeg(rng, clip.row["label"] == "FAKE"), "sharpness": float(rng.random()),
                }
            )  # fmt: skip
    return rows


def insert_clips(tables: Tables, clips: Iterable[Clip], extractor: str = EXTRACTOR) -> None:
    """Inserts videos, their faces, and their rows of the extraction ledger."""
    clips = list(clips)
    ledger = [
        {
            "video_id": clip.row["video_id"], "extractor": extractor, "outcome": "DONE", "attempts": 1, "frames": 4,
            "fingerprint": "1", "faces": clip.faces, "bytes_read": 0, "requests": 0, "run_id": "made",
            "extracted_at": NOW,
        } for clip in clips
    ]  # fmt: skip
    add(tables, VIDEOS, [clip.row for clip in clips])
    add(tables, FACES, face_rows(clips, extractor))
    add(tables, EXTRACTIONS, ledger)


def source_groups(count: int, fakes: int = 2, faces: int = 2, first: int = 0) -> list[Clip]:
    """Originals, each with its fakes."""
    clips = []
    for number in range(first, first + count):
        name = f"real{number:02d}"
        clips.append(Clip(name, faces=faces))
        clips += [Clip(f"fake{number:02d}{fake}", original=name, faces=faces) for fake in range(fakes)]
    return clips


def insert_splits(tables: Tables, split_of: dict[str, str]) -> None:
    """Inserts the split of each source group, by the group's name."""
    row = {"split_by": "original", "assigned_at": NOW}
    add(tables, SPLITS, [{"source_group": f"made/{group}", "split": split} | row for group, split in split_of.items()])


def configuration(root: Path, *overrides: str) -> Config:
    """The base configuration with all locations below ``root``, and overrides."""
    home = Path(__file__).parent.parent.parent
    locations = [f"{name}.root={root}/{name}" for name in ("tables", "models", "reports")]
    return conf_files.load(home / "conf", "local", [*locations, *overrides])


def write_split(
    folder: Path, split: str, rows: int, files: int = 1, row_group: int = 64, unreadable: int = 0, boxes: bool = True
) -> dict[str, int]:
    """Writes one split of a training set as Spark would; labels alternate, beginning with real.

    Args:
        folder: of the Parquet files.
        split: name of the split.
        rows: number of rows.
        files: number of files.
        row_group: rows of a row group.
        unreadable: the first rows, whose images cannot be decoded.
        boxes: whether rows have a box.

    Returns:
        The URIs of the files, with the number of rows of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(rows)
    content: list[dict[str, Any]] = []
    for number in range(rows):
        label = number % 2
        row: dict[str, Any] = {
            "face_id": f"{split}{number}",
            "video_id": f"v{number}",
            "source_group": f"g{number // 2}",
        }
        row |= {"split": split, "label": label, "weight": 1.0 + label / 2}
        row["image"] = b"no" if number < unreadable else jpeg(rng, bool(label))
        row |= {"box": [12.0, 12.0, 24.0, 24.0] if boxes else [float("nan")] * 4, "landmarks": [float("nan")] * 10}
        content.append(row)
    written = {}
    for number in range(files):
        path = folder / f"{split}-{number}.snappy.parquet"
        pq.write_table(
            pa.Table.from_pylist(content[number::files], TRAINING_SET.schema), path, row_group_size=row_group
        )
        written[f"file://{path}"] = len(content[number::files])
    return written
