"""Extract on a real Spark session with real Delta tables, from a zip made with zipfile."""

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.errors import CountError, StorageError, TableError
from dflib.extraction import extract as driver
from dflib.extraction.extract import extract
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, PREDICTIONS, VIDEOS, Table
from dflib.tables.store import Tables
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tools.demo.clips import encode_bytes, truncated

pytestmark = pytest.mark.spark


class RecordedProgress(Progress):
    """A progress that keeps all values."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.values: list[float] = []

    def set(self, done: float) -> None:
        self.values.append(done)
        super().set(done)


def row(video_id: str, **columns: Any) -> dict[str, Any]:
    empty = dict.fromkeys(VIDEOS.schema.names)
    needed = {"dataset": "t", "chunk": "c", "source_group": video_id, "problems": [], "ingested_at": datetime.now(UTC)}
    return {**empty, **needed, "video_id": video_id, **columns}


def members(path: Path) -> list[dict[str, Any]]:
    """Rows of ``videos`` for a zip, with ranges from zipfile."""
    with zipfile.ZipFile(path) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        ends = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    return [
        row(
            f"t/{Path(info.filename).stem}",
            uri=f"file://{path}",
            member=info.filename,
            offset=info.header_offset,
            length=end - info.header_offset,
            packing="deflated" if info.compress_type else "stored",
            crc32=info.CRC,
            size=info.file_size,
            fingerprint=f"{info.CRC}-{info.file_size}",
        )
        for info, end in zip(infos, ends, strict=True)
    ]


def put_videos(tables: Tables, rows: list[dict[str, Any]]) -> None:
    tables.upsert(VIDEOS, tables.spark.createDataFrame(pa.Table.from_pylist(rows, VIDEOS.schema)))


def ledger(tables: Tables) -> dict[str, Any]:
    return {entry["video_id"]: entry for entry in tables.read(EXTRACTIONS).collect()}


def clip_zip(path: Path, portrait: Rgb) -> None:
    person, _ = encode_bytes(with_portrait(portrait, 20))
    other, _ = encode_bytes(with_portrait(portrait, 20, step=1), audio=False)
    noise, _ = encode_bytes(numbered(20), audio=False)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("c/person.mp4", person)
        archive.writestr("c/packed.mp4", other, compress_type=zipfile.ZIP_DEFLATED)
        archive.writestr("c/noise.mp4", noise)
        archive.writestr("c/cut.mp4", truncated(person))
        archive.writestr("c/text.mp4", b"no video at all " * 100)


def test_extract_from_a_zip_to_tables(
    tables: Tables, storage: Storage, config: Config, portrait: Rgb, tmp_path: Path
) -> None:
    path = tmp_path / "chunk.zip"
    clip_zip(path, portrait)
    rows = members(path)
    crop = row("t/crop", uri=f"file://{tmp_path}/crops", packing="crops")
    missing = row("t/missing", problems=["MISSING_FILE: x.mp4 is named but is not there"])
    gone = row("t/gone", uri=f"file://{tmp_path}/gone.zip", packing="file", size=10, fingerprint="g")
    put_videos(tables, [*rows, crop, missing, gone])
    extractor = extractor_id(config)

    planned = extract(tables, storage, config, "run0", Progress(io.StringIO()), dry_run=True)
    assert (planned.total, planned.videos, planned.waves) == (7, 7, 1)
    assert planned.bytes == sum(one["length"] for one in rows) + 10
    assert not tables.exists(EXTRACTIONS) and not tables.exists(FRAMES)

    progress = RecordedProgress()
    config = with_extract(config, wave_videos=4, max_attempts=2)
    result = extract(tables, storage, config, "run1", progress)
    assert result.failed == {"UNREADABLE": 2, "MISSING_FILE": 1, "STORAGE_ERROR": 1}
    assert (result.videos, result.waves, result.done, result.without_face) == (7, 2, 3, 1)
    assert (result.frames, result.faces) == (12, 8)
    assert result.requests == 5, "one request per member, none for missing files"
    assert progress.values[-1] == 7 and progress.values == sorted(progress.values)
    assert "7 videos in 2 waves: 3 done (1 with no face), 4 failed (MISSING_FILE 1" in result.line

    entries = ledger(tables)
    assert entries["t/missing"]["detail"] == "x.mp4 is named but is not there"
    assert entries["t/person"]["frames_wanted"] == 4 and entries["t/person"]["video_frames"] == 20
    assert (entries["t/person"]["width"], entries["t/person"]["height"]) == (320, 240)
    assert entries["t/person"]["fps"] == pytest.approx(25) and entries["t/person"]["duration"] == pytest.approx(0.8)
    assert "t/crop" not in entries
    frames = tables.read(FRAMES).where("video_id = 't/person'").orderBy("frame_index").collect()
    # 20 frames: the thirds are at 6.33 and 12.67, and a decoded neighbour may be taken for each.
    assert [frame["frame_index"] for frame in frames] == pytest.approx([0, 6, 13, 19], abs=1)
    assert [frame["wanted_time"] for frame in frames] == pytest.approx([0, 19 / 75, 38 / 75, 19 / 25])
    faces = tables.read(FACES).where("video_id = 't/person'").orderBy("frame_index").collect()
    for frame, face in zip(frames, faces, strict=True):
        assert face["face_id"] == f"t/person/{extractor}/{frame['frame_index']:06d}/00"
        assert frame["faces"] == 1 and face["track"] == 0 and face["static"] is False
        middle = face["box_x"] + face["box_w"] / 2
        assert middle == pytest.approx(40 + 3 * frame["frame_index"] + 60, abs=12), "the face follows the person"
        image = cv2.imdecode(np.frombuffer(face["image"], np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[:2] == (face["crop_h"], face["crop_w"])

    # Again: only the video for which storage failed is retried, up to max_attempts.
    again = extract(tables, storage, config, "run2", Progress(io.StringIO()))
    assert (again.videos, again.failed) == (1, {"STORAGE_ERROR": 1})
    assert ledger(tables)["t/gone"]["attempts"] == 2
    before = tables.versions()
    done = extract(tables, storage, config, "run3", Progress(io.StringIO()))
    assert done.line == f"nothing to do: all 7 videos are extracted by {extractor}"
    assert tables.versions() == before

    # The file changes: its rows are replaced, those of others stay.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("c/person.mp4", encode_bytes(with_portrait(portrait, 10), audio=False)[0])
    put_videos(tables, members(path))
    tables.insert_new(PREDICTIONS, predictions(tables))
    fresh = extract(tables, storage, config, "run4", Progress(io.StringIO()))
    assert (fresh.videos, fresh.done, fresh.frames) == (1, 1, 4)
    assert ledger(tables)["t/person"]["video_frames"] == 10 and ledger(tables)["t/person"]["attempts"] == 1
    assert max(frame["frame_index"] for frame in tables.read(FRAMES).where("video_id = 't/person'").collect()) == 9
    assert tables.read(FRAMES).count() == 12
    assert {prediction["video_id"] for prediction in tables.read(PREDICTIONS).collect()} == {"t/packed"}


def test_extract_counts_no_attempts_in_a_storage_outage(
    tables: Tables, storage: Storage, config: Config, tmp_path: Path
) -> None:
    def gone(folder: str, count: int) -> list[dict[str, Any]]:
        names = [f"{folder}{number:02}" for number in range(count)]
        uri = f"file://{tmp_path}/{folder}"
        return [row(f"t/{name}", uri=f"{uri}/{name}", packing="file", size=10, fingerprint="x") for name in names]

    config = with_extract(config, wave_videos=12, max_attempts=1)
    (tmp_path / "z.mp4").write_bytes(b"no video at all" * 9)
    there = row("t/z", uri=f"file://{tmp_path}/z.mp4", packing="file", size=135, fingerprint="x")
    put_videos(tables, [*gone("a", 12), there])
    # A wave of which nothing can be read, and another one after it.
    with pytest.raises(
        StorageError, match=r"12 of 12 videos of a wave could not .*/a/a\d\d: .* 1 wave with such an outage; 0 "
    ):
        extract(tables, storage, config, "run1", Progress(io.StringIO()))
    assert {name: entry["reason"] for name, entry in ledger(tables).items()} == {"t/z": "UNREADABLE"}
    # The second such wave ends the run; all videos are tried again once storage is back.
    put_videos(tables, gone("b", 20))
    progress = RecordedProgress()
    with pytest.raises(StorageError, match=r"Nothing was written of 2 waves with such an outage"):
        extract(tables, storage, config, "run2", progress)
    assert progress.values[-1] == 24 and set(ledger(tables)) == {"t/z"}
    assert extract(tables, storage, config, "run3", Progress(io.StringIO()), dry_run=True).videos == 32


# With the other tests that kill: tests/jobs/test_killed_nights.py goes through every write of a night.
@pytest.mark.cluster
def test_extract_deletes_the_leftovers_of_a_killed_run(
    tables: Tables, storage: Storage, config: Config, portrait: Rgb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after frames were written and before the ledger; then the file changes before the next run."""
    path = tmp_path / "chunk.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("c/person.mp4", encode_bytes(with_portrait(portrait, 30), audio=False)[0])
    put_videos(tables, members(path))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tables, "upsert", killed)
        with pytest.raises(KeyboardInterrupt):
            extract(tables, storage, config, "run1", Progress(io.StringIO()))
    assert tables.read(FRAMES).count() == 4 and tables.read(EXTRACTIONS).count() == 0

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("c/person.mp4", encode_bytes(with_portrait(portrait, 6), audio=False)[0])
    put_videos(tables, members(path))
    result = extract(tables, storage, config, "run2", Progress(io.StringIO()))
    assert (result.frames, result.faces) == (4, 4)
    assert max(frame["frame_index"] for frame in tables.read(FRAMES).collect()) == 5
    assert not list((tmp_path / "tables" / "_staging").glob("**/*.parquet"))


def test_extract_without_videos_raises(tables: Tables, storage: Storage, config: Config) -> None:
    with pytest.raises(TableError, match="run ingest first"):
        extract(tables, storage, config, "run1", Progress(io.StringIO()))


@pytest.mark.parametrize("lost", ["frame", "face", "extraction"])
def test_extract_raises_if_a_task_loses_a_row(
    lost: str,
    tables: Tables,
    storage: Storage,
    config: Config,
    portrait: Rgb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The staged rows are counted against the ledger rows, and nothing is written if they disagree."""
    put_person(tables, tmp_path, portrait)
    make = driver.make_task

    def make_losing(*arguments: Any) -> Any:
        task = make(*arguments)

        def run(batches: Any) -> Any:
            rows = pa.Table.from_batches(task(batches))
            index = rows[lost].is_valid().to_pylist().index(True)
            yield from pa.concat_tables([rows[:index], rows[index + 1 :]]).to_batches()

        return run

    monkeypatch.setattr(driver, "make_task", make_losing)
    frames, faces, videos = 4 - (lost == "frame"), 4 - (lost == "face"), 1 - (lost == "extraction")
    with pytest.raises(
        CountError, match=rf"{videos} videos, {frames} frames and {faces} faces were staged, expected 1, "
    ):
        extract(tables, storage, config, "run1", Progress(io.StringIO()))
    assert not any(tables.exists(table) for table in (FRAMES, FACES, EXTRACTIONS))


@pytest.mark.parametrize("table", [FRAMES, FACES], ids=["frames", "faces"])
def test_extract_raises_if_a_write_loses_a_row(
    table: Table,
    tables: Tables,
    storage: Storage,
    config: Config,
    portrait: Rgb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The written rows are counted against the ledger rows, which are not written if they disagree."""
    put_person(tables, tmp_path, portrait)
    insert = tables.insert_new
    monkeypatch.setattr(tables, "insert_new", lambda to, rows: insert(to, rows.limit(3) if to is table else rows))
    frames, faces = (3, 4) if table is FRAMES else (4, 3)
    with pytest.raises(
        CountError, match=f"1 videos, {frames} frames and {faces} faces were written, expected 1, 4 and 4"
    ):
        extract(tables, storage, config, "run1", Progress(io.StringIO()))
    assert tables.read(EXTRACTIONS).isEmpty()


def put_person(tables: Tables, folder: Path, portrait: Rgb) -> None:
    """A table ``videos`` with one clip, of which even:4 gives four frames with a face each."""
    path = folder / "chunk.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("c/person.mp4", encode_bytes(with_portrait(portrait, 20), audio=False)[0])
    put_videos(tables, members(path))


def with_extract(config: Config, **changes: Any) -> Config:
    return config.model_copy(update={"extract": config.extract.model_copy(update=changes)})


def predictions(tables: Tables) -> Any:
    faces = tables.read(FACES).select("face_id", "video_id", "extractor", "frame_index", "track")
    return faces.withColumns({"model_id": F.lit("m"), "p_fake": F.lit(0.5), "run_id": F.lit("r")})
