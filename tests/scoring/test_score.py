"""Scoring on Spark: every face once, with the score that the model itself returns."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from dflib.config import ClusterConfig, ScoreConfig, View
from dflib.errors import CountError, ModelError
from dflib.models import networks, registry, saved_model
from dflib.models.view import cut_row
from dflib.runtime.gpus import Device
from dflib.runtime.progress import Progress
from dflib.runtime.task_log import Origin, TaskLog
from dflib.scoring import score as scoring
from dflib.storage import Storage, local_path
from dflib.tables.schemas import EXTRACTIONS, FACES, PREDICTIONS, VIDEOS
from dflib.tables.store import Tables
from tests.score_rows import WHEN
from tests.table_rows import add

pytestmark = pytest.mark.spark

VIEW = View(size=32, margin=0.3, square=True, interpolation="area", blank_face=False)
COUNT = 53
BATCH = 8


def encoded(seed: int, size: int = 90) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", cv2.resize(noise, (size, size)))[1])


def face(number: int, **changes: Any) -> dict[str, Any]:
    """A face whose crop is the part of the frame from (100, 50) on, at half the size."""
    row = dict.fromkeys(FACES.schema.names)
    row |= {
        "face_id": f"d/v{number % 7}-x-{number}-0",
        "video_id": f"d/v{number % 7}",
        "extractor": "x" if number % 2 else "y",
        "frame_index": number,
        "face_index": 0,
        "track": None if number % 3 else 2,
        "format": "jpeg",
        "image": encoded(number),
        "crop_x": 100.0,
        "crop_y": 50.0,
        "crop_scale": 0.5,
        "box_x": 140.0,
        "box_y": 90.0,
        "box_w": 80.0,
        "box_h": 100.0,
        "landmarks": [150.0, 100.0, 200.0, 100.0, 180.0, 120.0, 160.0, 150.0, 190.0, 150.0],
    }
    return row | changes


def crop(number: int) -> dict[str, Any]:
    """A ready-cut crop."""
    unknown = ("box_x", "box_y", "box_w", "box_h", "crop_x", "crop_y", "crop_scale", "landmarks")
    return face(number, **dict.fromkeys(unknown))


def video(number: int, fingerprint: str = "1") -> dict[str, Any]:
    row = {"video_id": f"d/v{number}", "dataset": "d", "chunk": "c", "source_group": f"d/v{number}", "problems": []}
    return row | {"packing": "stored", "fingerprint": fingerprint, "ingested_at": WHEN}


def extraction(number: int, extractor: str, outcome: str = "DONE", fingerprint: str = "1") -> dict[str, Any]:
    row = {"video_id": f"d/v{number}", "extractor": extractor, "outcome": outcome, "fingerprint": fingerprint}
    counts = dict.fromkeys(("attempts", "frames", "faces", "bytes_read", "requests"), 1)
    return row | counts | {"run_id": "r", "extracted_at": WHEN}


def insert(tables: Tables, rows: list[dict[str, Any]]) -> None:
    """Adds faces of the videos d/v0 to d/v6, which are all extracted."""
    if not tables.exists(EXTRACTIONS):
        add(tables, VIDEOS, [video(number) for number in range(7)])
        add(tables, EXTRACTIONS, [extraction(number, name) for number in range(7) for name in "xy"])
    add(tables, FACES, rows)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    saved_model.save(networks.build("meso4", VIEW.size), folder, VIEW.size, "fake")
    return folder


@pytest.fixture(scope="module")
def registered(spark: SparkSession, export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tables`` that hold one model, named m."""
    root = tmp_path_factory.mktemp("registered")
    register(Tables(spark, f"file://{root}/tables", Storage()), export, "m")
    return root


@pytest.fixture
def model(tables: Tables, registered: Path) -> None:
    """The model m in the tables of this test: a copy of the table, which is faster than registering it again."""
    shutil.copytree(registered / "tables", local_path(tables.root))


def register(tables: Tables, export: Path, name: str) -> None:
    fields: dict[str, Any] = {"network": "meso4", "view": VIEW, "positive": "fake", "origin": "trained"}
    registry.register(tables, tables.storage, f"file://{export.parent}/models", export, model_id=name, **fields)


def run(
    tables: Tables,
    dry_run: bool = False,
    model: str = "m",
    since: datetime | None = None,
    extractor: str | None = None,
) -> scoring.ScoreResult:
    cluster = ClusterConfig(gpu="auto", tasks_per_gpu=1, gpu_memory_mib=None)
    settings = ScoreConfig(model=model, batch_size=BATCH, since=since, extractor=extractor)
    found, origin = registry.find(tables, model), Origin("run", "score")
    return scoring.score(tables, tables.storage, found, settings, cluster, origin, Progress(), dry_run)


def test_score_scores_every_face_once_as_the_model_does(tables: Tables, model: None, export: Path) -> None:
    rows = [face(number) for number in range(COUNT - 5)] + [crop(number) for number in range(COUNT - 5, COUNT)]
    insert(tables, rows)
    assert run(tables, dry_run=True).pending == COUNT
    assert not tables.exists(PREDICTIONS)

    result = run(tables)
    assert (result.present, result.pending, result.written, result.videos) == (COUNT, COUNT, COUNT, 7)
    assert result.tasks > result.loads >= 1
    assert result.loads <= result.workers <= 2

    predictions = tables.read(PREDICTIONS).toPandas().set_index("face_id")
    assert len(predictions) == COUNT
    # The box in crop pixels, computed by hand: (140 - 100) / 2, (90 - 50) / 2, 80 / 2, 100 / 2.
    boxes = [None if row["box_x"] is None else (20.0, 20.0, 40.0, 50.0) for row in rows]
    seen = np.stack([cut_row(row["image"], box, None, VIEW) for row, box in zip(rows, boxes, strict=True)])
    expected = saved_model.load(export)(seen)
    assert np.ptp(expected) > 1e-3
    found = predictions.loc[[row["face_id"] for row in rows]]
    np.testing.assert_allclose(found["p_fake"], expected, atol=1e-6)
    assert result.mean == pytest.approx(expected.mean(), abs=1e-6)
    assert (found["model_id"] == "m").all()
    for name in ("video_id", "extractor", "frame_index"):
        assert found[name].tolist() == [row[name] for row in rows]
    assert [None if np.isnan(track) else track for track in found["track"]] == [row["track"] for row in rows]

    version = tables.version(PREDICTIONS)
    again = run(tables)
    assert (again.present, again.pending, again.written) == (COUNT, 0, 0)
    assert tables.version(PREDICTIONS) == version


def test_score_scores_only_new_faces(tables: Tables, model: None) -> None:
    """First few faces are scored, then most: pending ids are broadcast, then scored ones."""
    scores: dict[str, float] = {}
    for count, pending in ((3, 3), (23, 20), (25, 2)):
        insert(tables, [face(number) for number in range(count - pending, count)])
        result = run(tables)
        assert (result.present, result.pending, result.written) == (count, pending, pending)
        predictions = tables.read(PREDICTIONS).toPandas().set_index("face_id")["p_fake"].to_dict()
        assert len(predictions) == count
        assert scores.items() <= predictions.items()
        scores = predictions


def test_a_backfill_scores_the_asked_faces_only(tables: Tables, model: None) -> None:
    day = timedelta(days=1)
    add(tables, VIDEOS, [video(number) | {"ingested_at": WHEN + number * day} for number in range(7)])
    add(tables, EXTRACTIONS, [extraction(number, name) for number in range(7) for name in "xy"])
    add(tables, FACES, [face(number) for number in range(14)])
    result = run(tables, since=WHEN + 5 * day, extractor="x")
    assert (result.present, result.pending, result.written) == (2, 2, 2)
    found = {(row["video_id"], row["extractor"]) for row in tables.read(PREDICTIONS).collect()}
    assert found == {("d/v5", "x"), ("d/v6", "x")}
    assert run(tables, dry_run=True).pending == 12


def test_score_scores_only_current_faces(tables: Tables, model: None) -> None:
    """Faces of a finished extraction of the video's current bytes; ready-cut crops may exist beside a video."""
    add(tables, VIDEOS, [*(video(number) for number in (0, 1, 3)), video(2, "new"), video(4) | {"packing": "crops"}])
    ledger = [extraction(0, "x"), extraction(1, "x", "FAILED"), extraction(2, "x"), extraction(2, "y", "DONE", "new")]
    crops = [extraction(3, "crops-1", "DONE", "of crops"), extraction(4, "crops-1", "DONE", "of other crops")]
    add(tables, EXTRACTIONS, [*ledger, *crops])
    made = [(0, "x"), (0, "y"), (1, "x"), (2, "x"), (2, "y"), (3, "x"), (3, "crops-1"), (4, "crops-1")]
    insert(tables, [face(0, face_id=f"{of}{name}", video_id=f"d/v{of}", extractor=name) for of, name in made])
    result = run(tables)
    assert (result.present, result.written, result.not_current) == (3, 3, 5)
    assert {row["face_id"] for row in tables.read(PREDICTIONS).collect()} == {"0x", "2y", "3crops-1"}
    version = tables.version(PREDICTIONS)
    assert run(tables).pending == 0 and tables.version(PREDICTIONS) == version


@pytest.mark.cluster  # make test has no time for it
def test_score_drops_scores_of_videos_that_were_extracted_again_meanwhile(
    tables: Tables, model: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Video 1 is extracted again while its old faces are being scored; the new ones have the same ids."""
    add(tables, VIDEOS, [video(0), video(1)])
    add(tables, EXTRACTIONS, [extraction(0, "x"), extraction(1, "x")])
    faces = [face(0, face_id=f"{of}x", video_id=f"d/v{of}", extractor="x") for of in (0, 1)]
    insert(tables, faces)
    check = scoring._check

    def replaced(*arguments: Any) -> Any:
        again = pa.Table.from_pylist([extraction(1, "x", "DONE", "new")], EXTRACTIONS.schema)
        tables.upsert(EXTRACTIONS, tables.spark.createDataFrame(again))
        return check(*arguments)

    monkeypatch.setattr(scoring, "_check", replaced)
    with pytest.raises(CountError, match=r"2 faces were to be scored by m, but 1 rows were added; .* score again"):
        run(tables)
    assert [row["face_id"] for row in tables.read(PREDICTIONS).collect()] == ["0x"]


def test_score_names_faces_that_it_cannot_score_and_writes_the_others(tables: Tables, model: None) -> None:
    insert(
        tables,
        [
            *(face(number) for number in range(10)),
            face(10, face_id="torn", image=encoded(1)[:40]),
            face(11, face_id="no-place", crop_scale=None),
            face(12, face_id="outside", box_x=5000.0),
        ],
    )
    with pytest.raises(CountError, match="of 13 faces to be scored by m, 10 were scored, 3 cannot be") as caught:
        run(tables)
    for name in ("torn: the image", "no-place: the face has a box, but crop_scale is missing", "outside: the box"):
        assert name in str(caught.value)
    assert tables.read(PREDICTIONS).count() == 10


def test_score_refuses_changed_model_files_before_scoring(tables: Tables, export: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "export"
    shutil.copytree(export, own)
    register(tables, own, "changed")
    insert(tables, [face(0)])
    registered = local_path(registry.find(tables, "changed").uri)
    (registered / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(ModelError, match="differ from the registered ones"):
        run(tables, model="changed")
    assert not tables.exists(PREDICTIONS)


def test_score_refuses_scores_that_are_no_probability(tables: Tables, model: None, tmp_path: Path) -> None:
    """A SavedModel that returns NaN for dark images, beside another model."""
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, VIEW.size, VIEW.size, 3], tf.uint8, "images")])
    def dark_is_nan(images: Any) -> dict[str, Any]:
        dark = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3]) < 20
        return {"p_fake": tf.where(dark, float("nan"), 0.5)}

    module.dark_is_nan = dark_is_nan
    tf.saved_model.save(
        module, str(tmp_path / "nan"), signatures={saved_model.SIGNATURE: dark_is_nan.get_concrete_function()}
    )
    register(tables, tmp_path / "nan", "wrong")
    dark = bytes(cv2.imencode(".png", np.zeros((90, 90, 3), np.uint8))[1])
    insert(tables, [face(0), face(1), face(2, image=dark, face_id="dark")])
    assert run(tables, model="m").written == 3
    with pytest.raises(ModelError, match=r"wrong: 1 of 3 scores are no probability .* face dark\)"):
        run(tables, model="wrong")
    assert tables.read(PREDICTIONS).count() == 3


@pytest.mark.parametrize(
    ("model_id", "scores", "error", "message"),
    [
        ("m", [0.2, 1.5], ModelError, "1 of 2 scores are no probability"),
        ("m", [-0.1, -0.2], ModelError, "2 of 2 scores are no probability"),
        ("m", [0.2], CountError, "2 faces were passed to m, but 1 rows were returned"),
        ("m", [0.2, 0.3, 0.3], CountError, "2 faces were passed to m, but 3 rows were returned"),
        ("another", [0.2, 0.3], CountError, "2 of 2 returned rows are not of m"),
    ],
)
def test_check_refuses_wrong_numbers_of_rows_and_scores(
    spark: SparkSession, model_id: str, scores: list[float], error: type[Exception], message: str
) -> None:
    rows = [(f"f{number}", model_id, p_fake, None, None) for number, p_fake in enumerate(scores)]
    task = "task struct<faces: bigint, host: string, worker: bigint, loaded: boolean, retries: bigint>"
    names = f"face_id string, model_id string, p_fake double, problem string, {task}"
    with pytest.raises(error, match=message):
        scoring._check(spark.createDataFrame(rows, names), scoring.ScoreResult("m", 2, 2, 1), 0.0)


def test_score_batches_passes_batches_of_one_size_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    batches_passed = []

    def model(images: np.ndarray) -> np.ndarray:
        batches_passed.append(images.copy())
        return images.mean(axis=(1, 2, 3)) / 255

    monkeypatch.setattr(registry, "open_model", lambda *arguments: (model, True))
    rows = [face(number) for number in range(11)]
    rows = [row | {"box": [20.0, 20.0, 40.0, 50.0], "landmarks": [float("nan")] * 10, "problem": None} for row in rows]
    rows[5]["problem"] = "no position"
    coordinates = [pa.field("box", pa.list_(pa.float64())), pa.field("problem", pa.string())]
    schema = pa.schema([*FACES.schema, *coordinates])
    # Arrow batches of other sizes than the model's, one of them empty.
    batches = [pa.RecordBatch.from_pylist(part, schema) for part in (rows[:1], [], rows[1:10], rows[10:])]
    task = TaskLog(Origin("run", "score"), Device(None, "CPU:0", None))
    out = list(scoring.score_batches(batches, Storage(), "m", "file:///m", "0", VIEW, 4, 1, task))
    assert [images.shape for images in batches_passed] == [(4, 32, 32, 3)] * 3
    assert not batches_passed[2][2:].any()
    *scored, last = pa.Table.from_batches(out).to_pylist()
    assert [row["face_id"] for row in scored] == [row["face_id"] for row in rows]
    assert (scored[5]["p_fake"], scored[5]["problem"]) == (None, "no position")
    expected = [cut_row(row["image"], (20.0, 20.0, 40.0, 50.0), None, VIEW).mean() / 255 for row in rows]
    del scored[5], expected[5]
    np.testing.assert_allclose([row["p_fake"] for row in scored], expected)
    videos = {row["video_id"] for row in rows}
    assert (last["task"]["faces"], last["task"]["videos"], last["task"]["loaded"]) == (10, len(videos), True)
