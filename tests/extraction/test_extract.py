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
from dflib.errors import ConfigError, CountError, StorageError, TableError
from dflib.extraction import extract as driver
from dflib.extraction.extract import extract
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, PREDICTIONS, VIDEOS
from dflib.tables.store import Tables
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tools.demo.clips import encode_bytes, truncated

pytestmark = pytest.mark.spark


class Heard(Progress):
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.told: list[float] = []

    def set(self, done: float) -> None:
        self.told.append(done)
        super().set(done)


def row(video_id: str, **columns: Any) -> dict[str, Any]:
    empty = dict.fromkeys(VIDEOS.schema.names)
    needed = {"dataset": "t", "chunk": "c", "source_group": video_id, "problems": [], "ingested_at": datetime.now(UTC)}
    return {**empty, **needed, "video_id": video_id, **columns}


def members(path: Path) -> list[dict[str, Any]]:
    """Rows of ``videos`` for a zip, its ranges taken from zipfile."""
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
    return {found["video_id"]: found for found in tables.read(EXTRACTIONS).collect()}


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


def test_extract_end_to_end(tables: Tables, storage: Storage, config: Config, portrait: Rgb, tmp_path: Path) -> None:
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

    progress = Heard()
    config = with_extract(config, wave_videos=4, max_attempts=2)
    result = extract(tables, storage, config, "run1", progress)
    assert result.failed == {"UNREADABLE": 2, "MISSING_FILE": 1, "STORAGE_ERROR": 1}
    assert (result.videos, result.waves, result.done, result.without_face) == (7, 2, 3, 1)
    assert (result.frames, result.faces) == (12, 8)
    assert result.requests == 5, "one request a member, none for what is not there"
    assert progress.told[-1] == 7 and progress.told == sorted(progress.told)
    assert "7 videos in 2 waves: 3 done (1 with no face), 4 failed (MISSING_FILE 1" in result.line

    entries = ledger(tables)
    assert entries["t/missing"]["detail"] == "x.mp4 is named but is not there"
    assert entries["t/person"]["frames_wanted"] == 4 and entries["t/person"]["video_frames"] == 20
    assert (entries["t/person"]["width"], entries["t/person"]["height"]) == (320, 240)
    assert entries["t/person"]["fps"] == pytest.approx(25) and entries["t/person"]["duration"] == pytest.approx(0.8)
    assert "t/crop" not in entries
    frames = tables.read(FRAMES).where("video_id = 't/person'").orderBy("frame_index").collect()
    # 20 frames: thirds of the way are 6.33 and 12.67, and each may be taken from a kept neighbour.
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

    # Again: nothing is written but the video whose storage failed, until its tries are used up.
    again = extract(tables, storage, config, "run2", Progress(io.StringIO()))
    assert (again.videos, again.failed) == (1, {"STORAGE_ERROR": 1})
    assert ledger(tables)["t/gone"]["attempts"] == 2
    before = tables.versions()
    done = extract(tables, storage, config, "run3", Progress(io.StringIO()))
    assert done.line == f"nothing to do: all 7 videos are extracted by {extractor}"
    assert tables.versions() == before

    # The file changes: its rows go and come anew, those of others stay.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("c/person.mp4", encode_bytes(with_portrait(portrait, 10), audio=False)[0])
    put_videos(tables, members(path))
    tables.insert_new(PREDICTIONS, predictions(tables))
    fresh = extract(tables, storage, config, "run4", Progress(io.StringIO()))
    assert (fresh.videos, fresh.done, fresh.frames) == (1, 1, 4)
    assert ledger(tables)["t/person"]["video_frames"] == 10 and ledger(tables)["t/person"]["attempts"] == 1
    assert max(found["frame_index"] for found in tables.read(FRAMES).where("video_id = 't/person'").collect()) == 9
    assert tables.read(FRAMES).count() == 12
    assert {found["video_id"] for found in tables.read(PREDICTIONS).collect()} == {"t/packed"}


def test_an_outage_of_storage_uses_up_no_tries(
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
    # A wave of which nothing can be read, and one after it.
    with pytest.raises(StorageError, match=r"12 of 12 videos of a wave could not .*/a/a\d\d: .* 1 wave like that; 0 "):
        extract(tables, storage, config, "run1", Progress(io.StringIO()))
    assert {name: found["reason"] for name, found in ledger(tables).items()} == {"t/z": "UNREADABLE"}
    # Of waves like that two are enough; all are tried again when storage is back.
    put_videos(tables, gone("b", 20))
    heard = Heard()
    with pytest.raises(StorageError, match=r"Nothing was written of 2 waves like that"):
        extract(tables, storage, config, "run2", heard)
    assert heard.told[-1] == 24 and set(ledger(tables)) == {"t/z"}
    assert extract(tables, storage, config, "run3", Progress(io.StringIO()), dry_run=True).videos == 32


def test_a_killed_run_leaves_nothing_behind(
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
    assert max(found["frame_index"] for found in tables.read(FRAMES).collect()) == 5
    assert not list((tmp_path / "tables" / "_staging").glob("**/*.parquet"))


def test_no_videos_is_an_error(tables: Tables, storage: Storage, config: Config) -> None:
    with pytest.raises(TableError, match="run ingest first"):
        extract(tables, storage, config, "run1", Progress(io.StringIO()))


def test_counts_that_disagree_raise() -> None:
    with pytest.raises(CountError, match="3 frames and 1 faces were staged where 2, 4 and 1 were promised"):
        driver._same("staged", (2, 4, 1), (2, 3, 1))


@pytest.mark.parametrize("preset", ["per_second:0.0", "per_second:.0"])
def test_sampling_of_nothing_is_refused(preset: str, tables: Tables, storage: Storage, config: Config) -> None:
    wrong = config.model_copy(update={"sampling": config.sampling.model_copy(update={"frames": preset})})
    with pytest.raises(ConfigError, match="must be above 0"):
        extract(tables, storage, wrong, "run1", Progress(io.StringIO()))


def with_extract(config: Config, **changes: Any) -> Config:
    return config.model_copy(update={"extract": config.extract.model_copy(update=changes)})


def predictions(tables: Tables) -> Any:
    faces = tables.read(FACES).select("face_id", "video_id", "extractor", "frame_index", "track")
    return faces.withColumn("model_id", F.lit("m")).withColumn("p_fake", F.lit(0.5))
