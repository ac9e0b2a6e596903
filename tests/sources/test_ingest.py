"""Ingest into real tables."""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from deltalake import DeltaTable
from PIL import Image
from pyspark.sql import DataFrame

from dflib.errors import ConfigError, SourceError
from dflib.extraction import schedule
from dflib.runtime.progress import Progress
from dflib.sources.ingest import IngestResult, check, ingest
from dflib.storage import Storage
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, FACES, FORGOTTEN, FRAMES, PREDICTIONS, VIDEOS, Table
from dflib.tables.store import Tables
from tests.sources.settings import sources
from tests.table_rows import add

REAL, FAKE = {"label": "REAL"}, {"label": "FAKE", "original": "r.mp4"}


def run(tables: Tables, dry_run: bool = False, **changes: Any) -> IngestResult:
    return ingest(tables, Storage(), sources(**changes), "run-1", Progress(io.StringIO()), dry_run)


def rows(tables: Tables, table: Any = VIDEOS) -> dict[str, Any]:
    return {row[table.key[0]]: row for row in tables.read(table).collect()}


def write_image(path: Path, seed: int, side: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side + 8, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


def test_check_rejects_invalid_settings() -> None:
    with pytest.raises(ConfigError, match=r"set sources\.chunks"):
        check(sources())
    with pytest.raises(ConfigError, match="<clip> is unknown"):
        check(sources(crops="/x", crop_pattern="<clip>"))
    with pytest.raises(ConfigError, match="no folder may be in both"):
        check(sources(crops="/x", crop_fake="Real"))


@pytest.mark.spark
def test_ingest_of_new_changed_and_restored_chunks(
    tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = tmp_path / "c"
    chunks.mkdir()
    (chunks / "a.zip").write_bytes(zip_bytes({"r.mp4": b"r", "f.mp4": b"f"}, {"r.mp4": REAL, "f.mp4": FAKE}))
    (chunks / "broken.zip").write_bytes(b"PK")
    dry = run(tables, dry_run=True, chunks=chunks)
    assert not tables.versions()
    assert (dry.chunks_seen, dry.chunks_new, dry.videos_new, dry.real, dry.fake) == (2, 2, 2, 1, 1)
    assert dry.originals_nowhere == 0

    # Killed before the rows of chunks: the videos are written, and the next run reads the chunks again.
    upsert = tables.upsert

    def killed_at_chunks(table: Table, frame: DataFrame) -> int:
        if table is CHUNKS:
            raise KeyboardInterrupt
        return upsert(table, frame)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tables, "upsert", killed_at_chunks)
        run(tables, chunks=chunks)
    written = tables.version(VIDEOS)
    assert tables.read(VIDEOS).count() == 2 and not tables.exists(CHUNKS)
    repeated = run(tables, chunks=chunks)
    assert (repeated.chunks_new, repeated.videos_new, repeated.videos_changed) == (2, 0, 0)
    assert tables.version(VIDEOS) == written and tables.read(CHUNKS).count() == 2
    assert dry.problems == repeated.problems == {"NOT_A_ZIP": 1}
    broken = rows(tables, CHUNKS)[f"file://{chunks}/broken.zip"]
    assert broken["videos"] == 0 and broken["problems"][0].startswith("NOT_A_ZIP: ")

    versions = tables.versions()
    again = run(tables, chunks=chunks)
    assert tables.versions() == versions
    assert (again.chunks_seen, again.chunks_new, again.videos_new, again.videos_changed) == (2, 0, 0, 0)

    orphan = {"label": "FAKE", "original": "nowhere.mp4"}
    (chunks / "b.zip").write_bytes(
        zip_bytes({"f.mp4": b"f", "n.mp4": b"n"}, {"f.mp4": REAL, "n.mp4": orphan, "x.mp4": FAKE})
    )
    third = run(tables, chunks=chunks)
    assert (third.chunks_new, third.videos_new, third.videos_changed, third.originals_nowhere) == (1, 2, 1, 1)
    assert third.problems == {"DUPLICATE": 1, "LABEL_CONFLICT": 1, "MISSING_FILE": 1}
    table = rows(tables)
    assert {video_id: row["label"] for video_id, row in table.items()} == {
        "d/r": "REAL",
        "d/f": None,
        "d/n": "FAKE",
        "d/x": "FAKE",
    }
    assert '"a"' in table["d/f"]["problems"][-1] and '"b"' in table["d/f"]["problems"][-1]
    assert table["d/r"]["ingested_at"] < table["d/n"]["ingested_at"]

    first_upload = tmp_path / "kept"
    (chunks / "a.zip").rename(first_upload)
    (chunks / "a.zip").write_bytes(zip_bytes({"r.mp4": b"rr", "f.mp4": b"f"}, {"r.mp4": REAL, "f.mp4": FAKE}))
    fourth = run(tables, chunks=chunks)
    assert (fourth.chunks_new, fourth.videos_new, fourth.videos_changed) == (1, 0, 2)
    table = rows(tables)
    assert table["d/r"]["problems"][0].startswith("CHANGED: was ") and table["d/r"]["size"] == 2
    assert table["d/f"]["label"] is None

    # The first upload is restored, and is then known again.
    first_upload.rename(chunks / "a.zip")
    fifth = run(tables, chunks=chunks)
    assert (fifth.chunks_new, fifth.videos_changed) == (1, 2) and fifth.problems["CAME_BACK"] == 1
    assert rows(tables)["d/r"]["size"] == 1
    assert tables.read(CHUNKS).count() == 4

    # The clock was ahead, and is set back: the chunk that is ingested next is the newest all the same.
    DeltaTable(tables.uri(CHUNKS).removeprefix("file://")).update({"ingested_at": "timestamp '2099-01-01T00:00:00Z'"})
    (chunks / "a.zip").write_bytes(zip_bytes({"r.mp4": b"rrr", "f.mp4": b"f"}, {"r.mp4": REAL, "f.mp4": FAKE}))
    assert run(tables, chunks=chunks).chunks_new == 1 and run(tables, chunks=chunks).chunks_new == 0


@pytest.mark.spark
def test_ingest_fails_after_the_other_chunks_when_one_is_unreadable_or_clashes(
    tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes]
) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"r.mp4": b"r", "notes.txt": b"n"}, {"r.mp4": REAL}))
    (tmp_path / "clash.zip").write_bytes(zip_bytes({"n.mp4": b"n", "r.mp4": b"other"}, {"r.mp4": REAL, "n.mp4": REAL}))
    (tmp_path / "folder.zip").mkdir()
    for new in ("2 of 3 new chunks .*", "2 of 2 new chunks .*"):
        with pytest.raises(SourceError, match=new) as caught:
            run(tables, chunks=f"{tmp_path}/*.zip")
        text = str(caught.value)
        assert "folder.zip: Is a directory" in text and "clash.zip: nothing was ingested of it: 1 of its videos" in text
        assert list(rows(tables)) == ["d/r"] and tables.read(CHUNKS).count() == 1
    assert rows(tables)["d/r"]["size"] == 1
    (chunk,) = tables.read(CHUNKS).collect()
    assert (chunk["members"], chunk["problems"]) == (3, ["NOT_VIDEO: 1 file .txt, first 'part/notes.txt'"])
    (tmp_path / "folder.zip").rmdir()
    (tmp_path / "clash.zip").write_bytes(zip_bytes({"n.mp4": b"n"}, {"n.mp4": REAL}))
    renamed = run(tables, chunks=f"{tmp_path}/*.zip")
    assert renamed.videos_new == 1 and set(rows(tables)) == {"d/r", "d/n"}
    # Single files that are gone are noticed, in a folder and by themselves.
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("x", "y", "z"):
        (clips / f"{name}.mp4").write_bytes(name.encode())
    run(tables, chunks=clips)
    (clips / "x.mp4").unlink()
    fewer = run(tables, chunks=clips)
    assert (fewer.videos_missing, fewer.chunks_gone) == (1, 0) and "1 videos missing" in fewer.line()
    with pytest.raises(ConfigError, match=r"2 of 2 chunks were ingested as data set d"):
        run(tables, chunks=clips / "[yz].mp4", dataset="single")
    singles = tmp_path / "singles"
    clips.rename(singles)
    run(tables, chunks=singles / "[yz].mp4", dataset="single")
    (singles / "y.mp4").unlink()
    gone = run(tables, chunks=singles / "[yz].mp4", dataset="single")
    assert (gone.videos_missing, gone.chunks_gone) == (1, 1)
    table = rows(tables)
    assert {name for name, row in table.items() if row["uri"] is None} == {"d/x", "single/y"}
    assert table["single/y"]["problems"] == ["MISSING_FILE: singles is gone"]


@pytest.mark.cluster  # make test has no time for it
@pytest.mark.spark
def test_ingest_rejects_known_chunk_under_another_data_set(
    tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes]
) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"r.mp4": b"r"}, {"r.mp4": REAL}))
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "p.mp4").write_bytes(b"p")
    write_image(tmp_path / "crops" / "real" / "c-0-0.png", 1)
    write_image(tmp_path / "crops" / "fake" / "k-0-0.png", 2)
    for place in ({"chunks": tmp_path / "a.zip"}, {"chunks": tmp_path / "folder"}, {"crops": tmp_path / "crops"}):
        run(tables, **place)
        versions = tables.versions()
        with pytest.raises(ConfigError, match=r"sources.dataset=e: 1 of 1 chunks .* data set d, the first is file://"):
            run(tables, **place, dataset="e")
        assert tables.versions() == versions
    (tmp_path / "b.zip").write_bytes(zip_bytes({"r.mp4": b"r"}, {"r.mp4": REAL}))
    run(tables, chunks=tmp_path / "b.zip", dataset="e")
    assert "e/r" in rows(tables)


@pytest.mark.spark
def test_ingest_of_ready_cut_crops(tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes]) -> None:
    crops = tmp_path / "crops"
    for seed, name in enumerate(
        ["real/r-0-0.png", "real/r-0-1.png", "real/r-12-0.jpg", "fake/f-3-0.jpeg", "FAKE/g-1-0.png"]
    ):
        write_image(crops / "train" / name, seed)
    (crops / "train" / "real" / "bad-1-0.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (crops / "train" / "real" / "odd.png").write_bytes(b"")
    write_image(crops / "notes" / "n-1-0.png", 9)
    pixels = [np.random.default_rng(seed).integers(0, 2, (40, 48), np.uint8) * 255 for seed in (10, 11)]
    first_picture, second_picture = map(Image.fromarray, pixels)
    first_picture.save(crops / "train" / "real" / "gif-0-0.gif", save_all=True, append_images=[second_picture])
    first = run(tables, crops=crops)
    assert (first.videos_new, first.real, first.fake, first.crops_named, first.faces_new) == (5, 3, 2, 7, 6)
    assert first.problems == {"UNREADABLE_CROP": 1, "FIRST_PICTURE": 1}
    assert first.left_out == {"BAD_CROP_NAME": 1, "NOT_IN_CLASS_FOLDER": 1}
    faces = rows(tables, FACES)
    (extractor,) = {row["extractor"] for row in faces.values()}
    assert extractor.startswith("crops-")
    face = faces[f"d/r/{extractor}/000012/00"]
    assert face["image"] == (crops / "train" / "real" / "r-12-0.jpg").read_bytes()
    assert (face["format"], face["crop_w"], face["crop_h"], face["box_x"]) == ("jpeg", 48, 40, None)
    assert faces[f"d/r/{extractor}/000000/01"]["face_index"] == 1
    converted = faces[f"d/gif/{extractor}/000000/00"]
    assert (converted["format"], converted["crop_w"], converted["crop_h"]) == ("png", 48, 40)
    decoded = cv2.imdecode(np.frombuffer(converted["image"], np.uint8), cv2.IMREAD_COLOR)
    assert all(np.array_equal(decoded[..., channel], pixels[0]) for channel in range(3))
    ledger = rows(tables, EXTRACTIONS)
    assert {video_id: (row["outcome"], row["frames"], row["faces"]) for video_id, row in ledger.items()} == {
        "d/r": ("DONE", 2, 3),
        "d/f": ("DONE", 1, 1),
        "d/g": ("DONE", 1, 1),
        "d/bad": ("FAILED", 0, 0),
        "d/gif": ("DONE", 1, 1),
    }
    assert ledger["d/bad"]["reason"] == "UNREADABLE_CROP"
    assert Counter(row["video_id"] for row in tables.read(FRAMES).collect()) == {
        "d/r": 2,
        "d/f": 1,
        "d/g": 1,
        "d/gif": 1,
    }
    videos = rows(tables)
    assert {row["given_split"] for row in videos.values()} == {"train"}
    assert videos["d/r"]["fingerprint"] == ledger["d/r"]["fingerprint"]

    versions = tables.versions()
    assert run(tables, crops=crops).chunks_new == 0
    assert tables.versions() == versions

    # One crop replaced, one removed, one video added: only their rows differ; predictions of the old crops are deleted.
    of_faces = ("face_id", "video_id", "extractor", "frame_index")
    scored = [
        {"model_id": "m", "p_fake": 0.5, "run_id": "r"} | {name: row[name] for name in of_faces}
        for row in faces.values()
    ]
    tables.insert_new(PREDICTIONS, PREDICTIONS.frame(tables.spark, scored))
    write_image(crops / "train" / "real" / "r-0-0.png", 77)
    (crops / "train" / "real" / "r-12-0.jpg").unlink()
    write_image(crops / "train" / "fake" / "new-1-0.png", 78)
    (crops / "train" / "fake" / "f-3-0.jpeg").unlink()
    # A second folder has other crops of r; a zip has the video g itself with another label.
    write_image(tmp_path / "copy" / "real" / "r-5-0.png", 79)
    (tmp_path / "a.zip").write_bytes(zip_bytes({"g.mp4": b"g"}, {"g.mp4": REAL}))
    third = run(tables, crops=f"{crops},{tmp_path}/copy", chunks=tmp_path / "a.zip", crop_one_class=True)
    assert (third.videos_new, third.videos_changed, third.faces_new) == (1, 3, 3)
    after = rows(tables, FACES)
    assert set(after) == set(faces) - {face["face_id"], f"d/f/{extractor}/000003/00"} | {f"d/new/{extractor}/000001/00"}
    changed = f"d/r/{extractor}/000000/00"
    assert after[changed]["image"] == (crops / "train" / "real" / "r-0-0.png").read_bytes() != faces[changed]["image"]
    assert {row["video_id"] for row in tables.read(PREDICTIONS).collect()} == {"d/g", "d/gif"}
    ledger = rows(tables, EXTRACTIONS)
    assert ledger["d/r"]["faces"] == 2 and set(ledger) == {"d/r", "d/g", "d/gif", "d/bad", "d/new", "d/f"}
    assert (ledger["d/f"]["outcome"], ledger["d/f"]["reason"]) == ("FAILED", "MISSING_FILE")
    videos = rows(tables)
    assert (videos["d/g"]["packing"], videos["d/g"]["label"]) == ("stored", None)
    codes = {video_id: [problem.partition(":")[0] for problem in row["problems"]] for video_id, row in videos.items()}
    assert codes["d/g"] == ["ALSO", "LABEL_CONFLICT"] and codes["d/f"] == ["MISSING_FILE"]
    assert codes["d/r"] == ["CHANGED", "DUPLICATE_DIFFERS"]
    copied = rows(tables, CHUNKS)[f"file://{tmp_path}/copy"]["problems"]
    assert copied == ["DUPLICATE: crops of 1 videos come from another folder, first d/r"]

    versions = tables.versions()
    assert run(tables, crops=f"{crops},{tmp_path}/copy", chunks=tmp_path / "a.zip", crop_one_class=True).chunks_new == 0
    assert tables.versions() == versions


@pytest.mark.spark
@pytest.mark.shared
def test_ingest_of_sample_crops(tables: Tables, sample_data: Path) -> None:
    folder = sample_data / "face_crops"
    result = run(tables, crops=folder, crop_pattern="<video>[_<original>]_<k>")
    named: dict[str, set[str]] = {}
    for path in folder.rglob("*.jpg"):
        named.setdefault(path.parent.name, set()).add(path.name)
    assert result.faces_new == len(named["real"] | named["fake"])
    videos = rows(tables)
    expected = {f"d/{name.split('_')[0]}": label.upper() for label, names in named.items() for name in names}
    assert {video_id: row["label"] for video_id, row in videos.items()} == expected
    assert videos["d/akndzxxbai"]["original"] == "d/ryfqnbcpmt"
    assert tables.read(FACES).where("crop_w = 224 AND crop_h = 224 AND format = 'jpeg'").count() == result.faces_new


@pytest.mark.spark
def test_ingest_finds_deleted_chunks_of_its_sources(
    tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes]
) -> None:
    chunks, other = tmp_path / "c", tmp_path / "o"
    chunks.mkdir()
    other.mkdir()
    (chunks / "a.zip").write_bytes(zip_bytes({"r.mp4": b"r"}, {"r.mp4": REAL}))
    deleted = zip_bytes({"f.mp4": b"f", "g.mp4": b"g"}, {"f.mp4": FAKE, "g.mp4": FAKE})
    (chunks / "b.zip").write_bytes(deleted)
    (other / "z.zip").write_bytes(zip_bytes({"z.mp4": b"z"}, {"z.mp4": REAL}))
    run(tables, chunks=f"{chunks},{other}")

    (chunks / "b.zip").unlink()
    (other / "z.zip").unlink()
    (other / "y.zip").write_bytes(zip_bytes({"z.mp4": b"z"}, {"z.mp4": REAL}))
    dry = run(tables, dry_run=True, chunks=chunks / "*.zip")
    result = run(tables, chunks=chunks / "*.zip")
    for outcome in (dry, result):
        assert (outcome.chunks_new, outcome.chunks_gone, outcome.videos_missing) == (0, 1, 2)
        assert "1 chunks gone, 2 videos missing" in outcome.line()
    table = rows(tables)
    assert {video_id: row["uri"] is None for video_id, row in table.items()} == {
        "d/r": False,
        "d/f": True,
        "d/g": True,
        "d/z": False,  # not below the sources of this run
    }
    versions = tables.versions()
    again = run(tables, chunks=chunks / "*.zip")
    assert (again.chunks_gone, again.videos_missing) == (0, 0) and tables.versions() == versions

    moved = run(tables, chunks=other)
    assert (moved.chunks_gone, moved.videos_moved, moved.videos_missing) == (1, 1, 0)
    assert rows(tables)["d/z"]["chunk"] == "y"

    (chunks / "b.zip").write_bytes(deleted)
    back = run(tables, chunks=chunks)
    assert (back.chunks_new, back.chunks_gone, back.videos_changed) == (1, 0, 2)
    assert rows(tables)["d/f"]["uri"] is not None
    (chunks / "b.zip").unlink()
    assert run(tables, chunks=chunks).videos_missing == 2
    (chunks / "a.zip").unlink()
    with pytest.raises(SourceError, match="empty one"):
        run(tables, chunks=chunks)
    assert rows(tables)["d/r"]["uri"] is not None, "a source without any chunk is an error, and nothing is lost"


@pytest.mark.spark
def test_a_copy_in_an_unchanged_chunk_takes_over_when_the_first_is_deleted(
    tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes]
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.zip").write_bytes(zip_bytes({"r.mp4": b"r"}, {"r.mp4": REAL}))
    run(tables, chunks=tmp_path)
    assert rows(tables)["d/r"]["chunk"] == "a"
    (tmp_path / "a.zip").unlink()
    result = run(tables, chunks=tmp_path)
    assert (result.chunks_new, result.chunks_gone, result.videos_moved, result.videos_missing) == (0, 1, 1, 0)
    row = rows(tables)["d/r"]
    assert (row["chunk"], row["problems"]) == ("b", []) and row["uri"].endswith("/b.zip")
    versions = tables.versions()
    assert run(tables, chunks=tmp_path).chunks_gone == 0 and tables.versions() == versions


@pytest.mark.spark
def test_a_forgotten_video_is_left_out_of_new_chunks(
    tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes]
) -> None:
    original, fake = "abcdefgh.mp4", "ijklmnop.mp4"
    listed = {original: REAL, fake: FAKE | {"original": original}}
    add(tables, FORGOTTEN, [
        {"id_hash": hashlib.sha256(b"d/abcdefgh").hexdigest(), "reason": "r", "forgotten_by": "b", "models": [],
         "run_id": "r", "forgotten_at": datetime(2026, 1, 1, tzinfo=UTC)}
    ])  # fmt: skip
    (tmp_path / "a.zip").write_bytes(zip_bytes({original: b"r", fake: b"f"}, listed))
    result = run(tables, chunks=tmp_path)
    assert result.videos_new == 1 and result.problems == {"FORGOTTEN": 1}
    table = rows(tables)
    assert list(table) == ["d/ijklmnop"]
    assert table["d/ijklmnop"]["original"] is None
    assert table["d/ijklmnop"]["source_group"].startswith("forgotten-")
    assert "abcdefgh" not in str(tables.read(CHUNKS).collect()) + str(table)


@pytest.mark.spark
def test_videos_of_a_repaired_archive_are_pending_once_although_the_clock_was_set_back(
    tables: Tables, tmp_path: Path, zip_bytes: Callable[..., bytes]
) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zip_bytes({"r.mp4": b"r"}, {"r.mp4": REAL}))
    run(tables, chunks=archive)
    (video,) = rows(tables).values()
    damaged = {
        "video_id": video["video_id"], "extractor": "x", "fingerprint": video["fingerprint"], "outcome": "FAILED",
        "reason": "BAD_RANGE", "attempts": 1, "frames": 0, "faces": 0, "bytes_read": 0, "requests": 0, "run_id": "r",
        "extracted_at": datetime.now(UTC) + timedelta(days=1),
    }  # fmt: skip
    add(tables, EXTRACTIONS, [damaged])

    def pending() -> list[schedule.PendingVideo]:
        found = (tables.read(table) for table in (VIDEOS, EXTRACTIONS, CHUNKS))
        return schedule.collect(schedule.pending(*found, "x", 3))

    assert pending() == []
    os.utime(archive, (0, 0))
    run(tables, chunks=archive)
    (again,) = pending()
    assert again.ingested_at is not None and again.ingested_at > damaged["extracted_at"]
