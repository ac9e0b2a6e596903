"""Rows of videos and of their ledger as ingest and extract leave them, for tests of what reads them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dflib.tables.schemas import EXTRACTIONS, VIDEOS, Table


def row(table: Table, **given: Any) -> dict[str, Any]:
    """A row of a table; what is not given is null."""
    return dict.fromkeys(table.schema.names) | given


def videos(sizes: Sequence[int], when: datetime) -> list[dict[str, Any]]:
    """Stored members of one zip, ``d/0000`` and so on, of some sizes in bytes."""
    return [
        row(
            VIDEOS,
            video_id=f"d/{number:04}", dataset="d", chunk="z", source_group=str(number), problems=[], fingerprint="f",
            uri="file:///z.zip", packing="stored", offset=number, length=size, size=size, ingested_at=when,
        )
        for number, size in enumerate(sizes)
    ]  # fmt: skip


def extraction(number: int, extractor: str, run_id: str, when: datetime, **more: Any) -> dict[str, Any]:
    """A ledger row of one of :func:`videos`; DONE by default."""
    return row(
        EXTRACTIONS,
        video_id=f"d/{number:04}", extractor=extractor, fingerprint="f", attempts=1, requests=1, run_id=run_id,
        extracted_at=when, **{"outcome": "DONE", "frames": 20, "faces": 20, "bytes_read": 9, **more},
    )  # fmt: skip
