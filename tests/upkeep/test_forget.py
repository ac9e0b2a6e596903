"""Forgetting: nothing of a video is left in any file below the roots, and the rest stays as it was."""

import hashlib
import io
import json
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from dflib.config.load import load
from dflib.errors import ConfigError, TableError
from dflib.runtime.progress import Progress
from dflib.steps import forget as step
from dflib.steps.step import Context
from dflib.storage import Storage
from dflib.tables import forgotten
from dflib.tables.schemas import (
    ALIASES,
    CHECKS,
    CHUNKS,
    EXTRACTIONS,
    FACES,
    FORGOTTEN,
    PREDICTIONS,
    SPLITS,
    TRAINING_SET,
    VERDICTS,
    VIDEOS,
    Table,
)
from dflib.tables.store import Tables
from dflib.upkeep import forget
from dflib.upkeep.search import Searched, Wanted, search
from tests.score_rows import EXTRACTOR, ScoreRows, assign, train_on
from tests.table_rows import add

pytestmark = pytest.mark.spark
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOME = Path(__file__).parents[2]
PERSON, FAKE, OTHER = "t/person-one", "t/fake-of-one", "t/somebody"
KEPT = (EXTRACTIONS, FACES, PREDICTIONS, VERDICTS)


def fill(tables: Tables, storage: Storage, reports: str) -> dict[str, bytes]:
    """An original, a fake of it, and another video, in all tables and on a page; returns the images by face_id."""
    rows = ScoreRows()
    rows.video(PERSON, [[0.1], [0.2]], "REAL")
    rows.video(FAKE, [[0.9], [0.8]], "FAKE", group=PERSON, original=PERSON)
    rows.video(OTHER, [[0.3]], "REAL")
    for face in rows.faces:
        face["image"] = hashlib.sha256(face["face_id"].encode()).digest() * 8
    rows.videos[2]["problems"] = [f"NOTE: as in {PERSON.removeprefix('t/')}.mp4, not in t/person-one-b"]
    rows.write(tables, "s1")
    images = {face["face_id"]: face["image"] for face in rows.faces}
    assign(tables, {PERSON: "train", OTHER: "test"})
    add(tables, TRAINING_SET, [
        {"face_id": face["face_id"], "video_id": face["video_id"], "split": "train", "label": 0, "weight": 1.0,
         "source_group": OTHER if face["video_id"] == OTHER else PERSON, "image": face["image"],
         "box": [0.0] * 4, "landmarks": [0.0] * 10} for face in rows.faces
    ], "training_sets/s1")  # fmt: skip
    add(tables, VERDICTS, [
        {"video_id": video, "extractor": "e", "model_id": "m", "rule": "mean", "verdict": "REAL", "faces_used": 1,
         "frames_used": 1, "judged_at": NOW} for video in (PERSON, FAKE, OTHER)
    ])  # fmt: skip
    add(tables, CHUNKS, [
        {"uri": "file:///part_0.zip", "etag": "1", "name": "part_0", "kind": "zip", "ingested_at": NOW,
         "problems": ["UNKNOWN_LABEL: person-one.mp4"]}
    ])  # fmt: skip
    add(tables, CHECKS, [
        {"run_id": "r", "name": "orphans", "level": "fail", "outcome": "PASSED", "bound": 0.0, "checked_at": NOW,
         "detail": f"first {PERSON}"}
    ])  # fmt: skip
    storage.write(f"{reports}/m.html", f"<p>{PERSON}</p>".encode())
    storage.write(f"{reports}/other.html", b"<p>t/person-one-b</p>")
    storage.write(f"{reports}/training/m.html", b"<p>faces without a name</p>")
    storage.write(f"{reports}/training/n.html", b"<p>other faces</p>")
    storage.write(f"{reports}/faces.parquet/part-0", PERSON.encode())
    storage.write(f"{reports}/faces.parquet/part-1", OTHER.encode())
    storage.write(f"{reports}/.writing-1", PERSON.encode())  # what a killed job left
    add(tables, ALIASES, [
        {"alias": "champion", "since": NOW, "model_id": "m", "set_by": "ana", "reason": f"better on {PERSON}"}
    ])  # fmt: skip
    storage.write(f"{tables.root}/runs/20260101T000000-explain-1.json", json.dumps({"of": PERSON}).encode())
    storage.write(f"{tables.root}/_staging/x/part.bin", PERSON.encode())
    return images


def texts(root: Path) -> str:
    """Everything below a folder as text, hidden files and all columns of Parquet files with their statistics too."""
    parts = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            parts.append(f"{path}\n{path.read_bytes().decode('latin-1')}")
            if path.suffix == ".parquet":
                parts.append(str(pq.read_table(io.BytesIO(path.read_bytes())).to_pydict()))
    return "\n".join(parts)


def images_below(root: Path) -> set[bytes]:
    """Values of the image column of all Parquet files below a folder."""
    files = [pq.ParquetFile(path) for path in root.rglob("part-*.parquet")]
    return {
        value
        for file in files
        if "image" in file.schema_arrow.names
        for value in file.read(["image"])["image"].to_pylist()
    }


@dataclass
class World:
    """Tables from which one video was forgotten, with what was there before."""

    root: Path
    tables: Tables
    storage: Storage
    images: dict[str, bytes]
    subject: forget.Subject
    searched_before: Searched
    before: dict[str, pd.DataFrame]

    @property
    def reports(self) -> str:
        return f"file://{self.root}/reports"

    def forget(self, *videos: str) -> forget.Subject:
        subject = forget.find(self.tables, videos, with_fakes=False)
        forget.forget(self.tables, self.storage, subject, self.reports, "request 17", "ana@gate", "run-1")
        return subject


@pytest.fixture(scope="module")
def world(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    root, storage = tmp_path_factory.mktemp("forget"), Storage()
    tables = Tables(spark, f"file://{root}/tables", storage)
    images = fill(tables, storage, f"file://{root}/reports")
    assert "person-one.mp4" in texts(root) and set(images.values()) <= images_below(root)
    before = {table.name: others(tables, table) for table in KEPT}
    wanted = forget.find(tables, [PERSON], with_fakes=False).wanted
    searched = search(spark, storage, [f"file://{root}"], wanted)
    made = World(root, tables, storage, images, forget.find(tables, [PERSON], False), searched, before)
    made.forget(PERSON)
    return made


def others(tables: Tables, table: Table) -> pd.DataFrame:
    """The rows of the videos that stay, in order of the table's key."""
    rows = tables.read(table).where(f"video_id != '{PERSON}'").toPandas()
    return rows.sort_values(list(table.key), ignore_index=True)


@pytest.mark.cluster  # make test has no time for it
def test_nothing_of_a_forgotten_video_is_left(world: World) -> None:
    subject = world.subject
    assert (subject.videos, subject.training_sets, subject.models) == ((PERSON,), ("training_sets/s1",), ("m",))
    left = texts(world.root).replace("person-one-b", "")
    assert PERSON not in left and "person-one" not in left
    own = {image for face, image in world.images.items() if face.startswith(PERSON)}
    assert len(own) == 2 and images_below(world.root) == set(world.images.values()) - own
    reports = world.root / "reports"
    left = {str(path.relative_to(reports)) for path in reports.rglob("*") if path.is_file()}
    assert left == {"other.html", "training/n.html"}
    assert world.tables.read(ALIASES).first()["reason"] == "better on forgotten"
    record = f"{world.tables.root}/runs/20260101T000000-explain-1.json"
    assert world.storage.read(record) == b'{"of": "forgotten"}'
    assert search(world.tables.spark, world.storage, [f"file://{world.root}"], subject.wanted).found == ()


@pytest.mark.cluster  # make test has no time for it
def test_search_finds_each_thing_that_may_be_left(world: World) -> None:
    found = world.searched_before
    assert found.files > 10 and found.bytes > 10_000
    for part in ("/faces/part-", "/training_sets/s1/part-", "/reports/m.html", "/runs/", "/_delta_log/", "/splits/"):
        assert any(part in uri for uri in found.found), part
    assert not any("other.html" in uri for uri in found.found)


@pytest.mark.cluster  # make test has no time for it
def test_images_are_found_by_their_bytes_alone(world: World) -> None:
    image = world.images[f"{OTHER}/{EXTRACTOR}/0/0"]
    wanted = Wanted((), frozenset({(len(image), hashlib.sha256(image).hexdigest())}))
    found = search(world.tables.spark, world.storage, [f"file://{world.root}"], wanted).found
    assert len(found) == 2 and all("part-" in uri for uri in found)
    assert search(world.tables.spark, world.storage, [f"file://{world.root}"], Wanted(())).found == ()


@pytest.mark.cluster  # make test has no time for it
def test_other_videos_keep_their_rows_and_source_groups(world: World) -> None:
    for table in KEPT:
        assert len(world.before[table.name]) > 0
        pd.testing.assert_frame_equal(others(world.tables, table), world.before[table.name])
    alias = forgotten.alias(PERSON)
    videos = {row["video_id"]: row for row in world.tables.read(VIDEOS).collect()}
    assert set(videos) == {FAKE, OTHER}
    assert (videos[FAKE]["original"], videos[FAKE]["source_group"]) == (None, alias)
    assert (videos[OTHER]["source_group"], videos[OTHER]["original"]) == (OTHER, None)
    assert videos[OTHER]["problems"] == ["NOTE: as in forgotten.mp4, not in t/person-one-b"]
    splits = {row["source_group"]: row["split"] for row in world.tables.read(SPLITS).collect()}
    assert splits == {alias: "train", OTHER: "test"}
    sets = world.tables.read(TRAINING_SET, folder="training_sets/s1").collect()
    assert {(row["video_id"], row["source_group"]) for row in sets} == {(FAKE, alias), (OTHER, OTHER)}


@pytest.mark.cluster  # make test has no time for it
def test_tombstone_holds_no_name_and_earlier_versions_are_gone(world: World) -> None:
    (row,) = world.tables.read(FORGOTTEN).collect()
    assert row["id_hash"] == hashlib.sha256(PERSON.encode()).hexdigest()
    assert (row["reason"], row["forgotten_by"], row["models"]) == ("request 17", "ana@gate", ["m"])
    assert forgotten.known(world.tables, [PERSON, OTHER]) == {PERSON}
    with pytest.raises(TableError, match=r"version 0 can't be read: .*by forget at once"):
        world.tables.read(FACES, 0)


@pytest.mark.cluster  # make test has no time for it
def test_forgetting_again_changes_nothing_and_unknown_videos_are_refused(world: World) -> None:
    versions = world.tables.versions()
    world.forget(PERSON)
    assert world.tables.versions() == versions
    with pytest.raises(TableError, match="there is no video 't/nobody'; nothing was removed"):
        forget.find(world.tables, [OTHER, "t/nobody"], with_fakes=False)


def test_fakes_of_a_video_go_with_it_when_asked(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video("t/a", [[0.1]], "REAL")
    rows.video("t/b", [[0.9]], "FAKE", original="t/a")
    rows.video("t/c", [[0.9]], "FAKE", original="t/b")
    rows.video("t/d", [[0.9]], "FAKE", original="t/x")
    rows.write(tables)
    subject = forget.find(tables, ["t/a"], with_fakes=True)
    assert (subject.videos, subject.named) == (("t/a", "t/b", "t/c"), 1)
    assert forget.find(tables, ["t/a"], with_fakes=False).videos == ("t/a",)


# With the other tests that kill.
@pytest.mark.cluster
def test_a_killed_forget_leaves_no_fake_and_no_training_page_to_the_next_try(
    tables: Tables, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ScoreRows()
    rows.video(PERSON, [[0.1]], "REAL")
    rows.video(FAKE, [[0.9]], "FAKE", original=PERSON)
    rows.write(tables, "s1")
    train_on(tables, "s1", {PERSON: "train"})
    reports = f"{tables.root}/../reports"
    storage.write(f"{reports}/night.html", f"<p>{FAKE}</p>".encode())
    storage.write(f"{reports}/training/m.html", b"<p>faces without a name</p>")
    storage.write(f"{tables.root}/runs/20260101T000000-night-1.json", json.dumps({"of": FAKE}).encode())

    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    def once() -> forget.Subject:
        subject = forget.find(tables, [PERSON], with_fakes=True)
        forget.forget(tables, storage, subject, reports, "request 17", "ana@gate", "run-1")
        return subject

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(forget.history, "purge", kill)  # the rows are gone, and not yet their earlier versions
        once()
    assert once().models == ("m",)
    assert FAKE not in texts(Path(tables.root.removeprefix("file://")).parent)
    assert not list(storage.list_files(reports))


def test_pages_that_cannot_be_made_again_fail_the_job(tables: Tables) -> None:
    config = load(HOME / "conf", "local", ["report.model=nobody"])
    context = Context("run", config, tables.spark, Storage(), tables, Progress(io.StringIO()), dry_run=False)
    assert "then run report" in step._make_pages(context)


@pytest.mark.parametrize("name", ["t/o'brien-interview", 't/the "one" of us', "t/grüße-an-alle", "t/a&b-and-c"])
def test_names_are_found_as_pages_and_records_write_them(name: str) -> None:
    pattern = forgotten.whole_words(forgotten.names([name]))
    page = jinja2.Environment(autoescape=True).from_string("<p>{{ name }}</p>").render(name=name)
    for text in (name, page, json.dumps(name), json.dumps(name, ensure_ascii=False), urllib.parse.quote(name)):
        assert pattern.search(text), text


def test_reason_may_not_name_the_video_and_sources_may_not_lie_below_reports(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video(PERSON, [[0.1]], "REAL")
    rows.write(tables)
    arguments = [f"forget.videos={PERSON}", f"forget.reason=asked about {PERSON}", f"tables.root={tables.root}"]
    config = load(HOME / "conf", "local", arguments)
    context = Context("run", config, tables.spark, Storage(), tables, Progress(io.StringIO()), dry_run=False)
    with pytest.raises(ConfigError, match="leave the name out"):
        step.run(context)
    assert tables.read(VIDEOS).count() == 1
    with pytest.raises(ConfigError, match="keep reports in a folder of their own"):
        step.check(load(HOME / "conf", "local", [*arguments, "reports.root=/data", "sources.chunks=/data/a.zip"]))
