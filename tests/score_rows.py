"""Small tables of videos, extractions, faces, predictions and models, for tests of verdicts, reports and exports."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np

from dflib import config
from dflib.tables.quality import ALL_FACES
from dflib.tables.schemas import EXTRACTIONS, FACES, MODELS, PREDICTIONS, SPLITS, TRAINING_SET, VIDEOS
from dflib.tables.store import Tables
from tests.table_rows import add

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXTRACTOR = "even20-mtcnn-0123abcd"
SETTINGS = config.ReportConfig(
    model="m",
    extractor=None,
    rules=("mean", "share:0.5", "run:3"),
    threshold=0.5,
    exclude_static=True,
    quality=ALL_FACES,
    min_faces=1,
    bootstrap=100,
    confidence=0.95,
    seed=1,
    worst=3,
)

GATE = config.NightlyConfig(move=0.1, max_flips=0.05, max_videos=None, max_minutes=None, summary=None)


def crop(seed: int) -> bytes:
    """A JPEG of coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", cv2.resize(blocks, (96, 80), interpolation=cv2.INTER_NEAREST))[1])


@dataclass
class ScoreRows:
    """Collects rows as dicts; columns without a value are null, or hold a constant where null is not allowed."""

    model_id: str = "m"
    videos: list[dict[str, Any]] = field(default_factory=list)
    extractions: list[dict[str, Any]] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)
    predictions: list[dict[str, Any]] = field(default_factory=list)

    def video(
        self,
        video_id: str,
        frames: Sequence[Sequence[float | None]] = (),
        label: str | None = None,
        group: str | None = None,
        chunk: str = "part_0",
        static: Sequence[tuple[int, int]] = (),
        failed: str | None = None,
        extracted: bool = True,
        fingerprint: str | None = None,
        read: str | None = None,
        original: str | None = None,
    ) -> None:
        """Adds a video with the scores of the faces of each sampled frame; None: a face without a score.

        Args:
            video_id, label, group, chunk, original: columns of ``videos``.
            frames: for each sampled frame the p_fake of its faces.
            static: faces (frame, number) that are marked static.
            failed: reason in the extraction ledger of a failed extraction.
            extracted: whether the ledger has a row.
            fingerprint: of the current file.
            read: fingerprint of the bytes that were extracted.
        """
        self.videos.append(
            {
                "video_id": video_id,
                "dataset": "t",
                "chunk": chunk,
                "uri": f"s3://b/{chunk}.zip",
                "member": f"{chunk}/{video_id.rpartition('/')[2]}.mp4",
                "packing": "stored",
                "label": label,
                "fingerprint": fingerprint,
                "original": original,
                "source_group": group or video_id,
                "problems": [],
                "ingested_at": WHEN,
            }
        )
        if not extracted:
            return
        number_of_faces = sum(map(len, frames))
        self.extractions.append(
            {
                "video_id": video_id,
                "extractor": EXTRACTOR,
                "fingerprint": read,
                "outcome": "FAILED" if failed else "DONE",
                "reason": failed,
                "attempts": 1,
                "frames": len(frames),
                "faces": number_of_faces,
                "bytes_read": 1,
                "requests": 1,
                "run_id": "r",
                "extracted_at": WHEN,
            }
        )
        for index, scores in enumerate(frames):
            for number, score in enumerate(scores):
                face = {
                    "face_id": f"{video_id}/{EXTRACTOR}/{index}/{number}",
                    "video_id": video_id,
                    "extractor": EXTRACTOR,
                    "frame_index": index * 15,
                    "track": number,
                }
                self.faces.append(
                    {
                        **face,
                        "face_index": number,
                        "static": (index, number) in static,
                        "format": "jpeg",
                        "image": crop(len(self.faces) % 7),
                    }
                )
                if score is not None:
                    self.predictions.append({**face, "model_id": self.model_id, "p_fake": float(score)})

    def write(self, tables: Tables, training_set: str | None = None) -> None:
        """Writes all rows and a model."""
        for table, rows in (
            (VIDEOS, self.videos),
            (EXTRACTIONS, self.extractions),
            (FACES, self.faces),
            (PREDICTIONS, self.predictions),
            (MODELS, [model(self.model_id, training_set)]),
        ):
            add(tables, table, rows)


def model(model_id: str, training_set: str | None = None, when: datetime = WHEN) -> dict[str, Any]:
    """A row of MODELS."""
    return {
        "model_id": model_id,
        "network": "meso4",
        "uri": "file:///nowhere",
        "sha256": "ab" * 32,
        "flavour": "tf-keras",
        "view": '{"size": 64, "margin": 0.3, "square": true, "interpolation": "area", "blank_face": false}',
        "origin": "trained" if training_set else "file:///weights.h5",
        "positive": "fake",
        "training_set": training_set,
        "created_at": when,
    }


def assign(tables: Tables, splits: dict[str, str]) -> None:
    """Writes SPLITS."""
    rows = [
        {"source_group": group, "split": split, "split_by": "original", "assigned_at": WHEN}
        for group, split in splits.items()
    ]
    add(tables, SPLITS, rows)


def train_on(tables: Tables, set_id: str, splits: dict[str, str], videos: dict[str, str] | None = None) -> None:
    """Writes a training set with one face per source group, of its video in ``videos`` or of the original."""
    rows = [
        {
            "face_id": f"{group}/0",
            "video_id": (videos or {}).get(group, group),
            "source_group": group,
            "split": split,
            "label": 0,
            "weight": 1.0,
            "image": b"",
            "box": [0.0] * 4,
            "landmarks": [0.0] * 10,
        }
        for group, split in splits.items()
    ]
    add(tables, TRAINING_SET, rows, f"training_sets/{set_id}")
