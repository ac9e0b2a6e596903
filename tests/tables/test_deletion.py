"""Deleting extractions: whatever a kill leaves, no ledger row promises rows that are gone."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from dflib.tables import deletion
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, PREDICTIONS, VERDICTS, Table
from dflib.tables.store import Tables
from tests.table_rows import add

pytestmark = pytest.mark.spark
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fill(tables: Tables, videos: str, extractor: str) -> None:
    """One frame with one face a video, predicted and judged."""
    of = [{"video_id": video, "extractor": extractor} for video in videos]
    add(tables, EXTRACTIONS, [row | {
        "outcome": "DONE", "attempts": 1, "frames": 1, "faces": 1, "bytes_read": 0, "requests": 0, "run_id": "r",
        "extracted_at": NOW,
    } for row in of])  # fmt: skip
    add(tables, FRAMES, [row | {"frame_index": 0, "faces": 1} for row in of])
    face = {"frame_index": 0, "face_index": 0, "format": "jpeg", "image": b"x"}
    add(tables, FACES, [row | face | {"face_id": f"{row['video_id']}/{extractor}"} for row in of])
    add(tables, PREDICTIONS, [row | {
        "face_id": f"{row['video_id']}/{extractor}", "model_id": "m", "frame_index": 0, "p_fake": 0.5,
    } for row in of])  # fmt: skip
    add(tables, VERDICTS, [row | {
        "model_id": "m", "rule": "mean", "verdict": "FAKE", "faces_used": 1, "frames_used": 1, "judged_at": NOW,
    } for row in of])  # fmt: skip


def videos(tables: Tables, table: Table) -> list[str]:
    return sorted(f"{row['video_id']}{row['extractor']}" for row in tables.read(table).collect())


def test_delete_extractions_leaves_other_videos_and_extractors(tables: Tables) -> None:
    fill(tables, "ab", "1")
    fill(tables, "a", "2")
    deletion.delete_extractions(tables, ["a"], "1")
    for table in (VERDICTS, PREDICTIONS, EXTRACTIONS, FACES, FRAMES):
        assert videos(tables, table) == ["a2", "b1"]
    versions = tables.versions()
    deletion.delete_extractions(tables, [], "1")
    assert tables.versions() == versions


# With the other tests that kill: tests/jobs/test_killed_nights.py goes through every write of a night.
@pytest.mark.cluster
def test_killed_delete_leaves_no_promise_and_is_found_again(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each video is deleted by a run that is killed after another number of tables."""
    fill(tables, "abcdefg", "1")
    delete = Tables.delete_matching
    for steps, video in enumerate("abcdef"):
        done: list[str] = []

        def killed(self: Tables, table: Table, *arguments: object, steps: int = steps, done: list[str] = done) -> None:
            if len(done) == steps:
                raise KeyboardInterrupt
            done.append(table.name)
            delete(self, table, *arguments)  # type: ignore[arg-type]

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Tables, "delete_matching", killed)
            deletion.delete_extractions(tables, [video], "1")
        assert len(done) == steps
    promised = {row["video_id"]: row["faces"] for row in tables.read(EXTRACTIONS).collect()}
    assert sorted(promised) == ["a", "b", "c", "d", "g"]
    for table in (FACES, FRAMES):
        found = Counter(row["video_id"] for row in tables.read(table).collect())
        assert {video: found[video] for video in promised} == promised
    # Judgements never outlive the ledger row by which a later run finds the video.
    assert set(videos(tables, VERDICTS) + videos(tables, PREDICTIONS)) <= {f"{video}1" for video in promised}
    # Whatever lost its ledger row is found by what is left of it.
    assert deletion.uncommitted(tables, ["e", "f"], "1") == {"e", "f"}
    assert deletion.uncommitted(tables, ["d", "e"], "2") == set()
    deletion.delete_extractions(tables, list("abcde"), "1")
    assert deletion.uncommitted(tables, list("abcdef"), "1") == {"f"}
