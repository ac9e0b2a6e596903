"""The table of verdicts: order, outcome, parts and the limits of thumbnails."""

import pytest

from dflib.reporting import verdict_table
from dflib.reporting.thumbnails import Thumbnail
from dflib.reporting.verdict_table import VerdictRow
from tests.reporting.made_findings import findings, video


def table(*videos: dict[str, object], faces: dict[str, list[Thumbnail]] | None = None) -> list[VerdictRow]:
    found = findings(list(videos))
    return verdict_table.rows(found, verdict_table.in_order(found), faces or {})


def test_rows_nearest_to_the_threshold_come_first_and_undetermined_last() -> None:
    rows = table(
        video("far", 0.99),
        video("near", 0.45),
        video("nearest", 0.51),
        video("none_b", None, reason="NO_FACE"),
        video("none_a", None, reason="NO_FACE"),
        video("broken", None, reason="MOOV_MISSING"),
    )
    assert [row.video_id for row in rows] == ["nearest", "near", "far", "broken", "none_a", "none_b"]
    assert [row.verdict for row in rows] == ["FAKE", "REAL", "FAKE", *["UNDETERMINED"] * 3]
    assert [row.reason for row in rows] == [None, None, None, "MOOV_MISSING", "NO_FACE", "NO_FACE"]
    assert rows[0].margin == pytest.approx(0.01) and rows[1].margin == pytest.approx(-0.05)


def test_equal_distances_are_ordered_by_name() -> None:
    assert [row.video_id for row in table(video("b", 0.25), video("c", 0.75), video("a", 0.75))] == ["a", "b", "c"]


def test_outcome_compares_verdict_and_label() -> None:
    rows = table(
        video("a", 0.9, "FAKE"),
        video("b", 0.8, "REAL"),
        video("c", 0.7),
        video("d", None, "FAKE"),
        video("e", 0.5, "REAL"),
    )
    assert {row.video_id: row.outcome for row in rows} == {"a": "right", "b": "wrong", "c": "", "d": "", "e": "right"}


def test_parts_hold_every_row_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_table, "PART_ROWS", 3)
    rows = table(*[video(f"v{number}", 0.5 + number / 100) for number in range(8)])
    parts = list(verdict_table.parts(rows))
    assert [len(part) for part in parts] == [3, 3, 2]
    assert [row for part in parts for row in part] == rows


def test_parts_of_exactly_one_page_are_one() -> None:
    row = table(video("a", 0.9))[0]
    assert [len(part) for part in verdict_table.parts([row] * 5000)] == [5000]
    assert [len(part) for part in verdict_table.parts([row] * 5001)] == [5000, 1]
    assert list(verdict_table.parts([])) == [[]]


def test_with_faces_limits_the_videos_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_table, "VIDEOS_WITH_FACES", 2)
    monkeypatch.setattr(verdict_table, "UNDETERMINED_WITH_FACES", 1)
    found = findings(
        [
            *[video(f"v{number}", 0.5 + number / 100) for number in range(4)],
            video("faceless", None),
            *[video(f"static{number}", None, reason="ONLY_STATIC_FACES", face_rows=3) for number in range(2)],
        ]
    )
    assert verdict_table.with_faces(verdict_table.in_order(found)) == ["v0", "v1", "static0"]


def test_rows_stop_showing_faces_at_the_limit_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_table, "THUMBNAIL_BYTES", 250)
    faces = {name: [Thumbnail(0.5, 0, "x" * 100)] for name in ("a", "b", "c")}
    rows = table(video("a", 0.51), video("b", 0.52), video("c", 0.53), faces=faces)
    assert [len(row.faces) for row in rows] == [1, 1, 0]
