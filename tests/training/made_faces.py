"""Small tables of made faces: the fakes are told from the real ones by their colour."""

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
from dflib.tables.schemas import EXTRACTIONS, FACES, SPLITS, TRAINING_SET, VIDEOS, Table
from dflib.tables.store import Tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXTRACTOR = "even4-mtcnn-00000000"


@dataclass(frozen=True)
class Clip:
    """A video of the made tables; a fake names its original."""

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


def picture(rng: np.random.Generator, fake: bool, side: int = 48) -> bytes:
    """A JPEG of noise, reddish when it is fake and bluish when it is real."""
    noise = cv2.GaussianBlur(rng.integers(0, 140, (side, side, 3)).astype(np.uint8), (0, 0), 2)
    noise[:, :, 2 if fake else 0] += 90
    done, encoded = cv2.imencode(".jpg", noise)
    assert done
    return encoded.tobytes()


def rows_of(clips: Iterable[Clip], extractor: str = EXTRACTOR) -> list[dict[str, Any]]:
    """Rows of ``faces``; the box lies at 10, 20 of a frame, the crop at 4, 12 at twice the size."""
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
                    "image": picture(rng, clip.row["label"] == "FAKE"), "sharpness": float(rng.random()),
                }
            )  # fmt: skip
    return rows


def put(tables: Tables, table: Table, rows: list[dict[str, Any]]) -> None:
    """Adds rows; columns left out are null."""
    whole = [{name: row.get(name) for name in table.schema.names} for row in rows]
    tables.insert_new(table, tables.spark.createDataFrame(whole, table.spark_schema()))


def fill(tables: Tables, clips: Iterable[Clip], extractor: str = EXTRACTOR) -> None:
    """Adds clips with their faces and the ledger to the tables."""
    clips = list(clips)
    ledger = [
        {
            "video_id": clip.row["video_id"], "extractor": extractor, "outcome": "DONE", "attempts": 1, "frames": 4,
            "fingerprint": "1", "faces": clip.faces, "bytes_read": 0, "requests": 0, "run_id": "made",
            "extracted_at": NOW,
        } for clip in clips
    ]  # fmt: skip
    put(tables, VIDEOS, [clip.row for clip in clips])
    put(tables, FACES, rows_of(clips, extractor))
    put(tables, EXTRACTIONS, ledger)


def groups(count: int, fakes: int = 2, faces: int = 2, first: int = 0) -> list[Clip]:
    """Originals, each with so many fakes."""
    clips = []
    for number in range(first, first + count):
        name = f"real{number:02d}"
        clips.append(Clip(name, faces=faces))
        clips += [Clip(f"fake{number:02d}{of}", original=name, faces=faces) for of in range(fakes)]
    return clips


def put_splits(tables: Tables, of: dict[str, str]) -> None:
    """Writes splits as given, by name of the group."""
    rows = [(f"made/{group}", split, "original", NOW) for group, split in of.items()]
    tables.insert_new(SPLITS, tables.spark.createDataFrame(rows, SPLITS.spark_schema()))


def settings(root: Path, *overrides: str) -> Config:
    """The base configuration with its places below ``root``, and values laid over it."""
    home = Path(__file__).parent.parent.parent
    places = [f"{place}.root={root}/{place}" for place in ("tables", "models", "reports")]
    return conf_files.load(home / "conf", "local", [*places, *overrides])


def parquet_set(
    folder: Path, split: str, rows: int, files: int = 1, row_group: int = 64, spoilt: int = 0, boxes: bool = True
) -> dict[str, int]:
    """Parquet files of one split of a training set, as Spark would write them; gives their URIs and rows back."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(rows)
    made: list[dict[str, Any]] = []
    for number in range(rows):
        label = number % 2
        row: dict[str, Any] = {
            "face_id": f"{split}{number}",
            "video_id": f"v{number}",
            "source_group": f"g{number // 2}",
        }
        row |= {"split": split, "label": label, "weight": 1.0 + label / 2}
        row["image"] = b"no" if number < spoilt else picture(rng, bool(label))
        row |= {"box": [12.0, 12.0, 24.0, 24.0] if boxes else [float("nan")] * 4, "landmarks": [float("nan")] * 10}
        made.append(row)
    named = {}
    for number in range(files):
        path = folder / f"{split}-{number}.snappy.parquet"
        pq.write_table(pa.Table.from_pylist(made[number::files], TRAINING_SET.schema), path, row_group_size=row_group)
        named[f"file://{path}"] = len(made[number::files])
    return named
