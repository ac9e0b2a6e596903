"""Computes a chain again from the bytes of the video and compares it link by link."""

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from dflib.config import Config, View, recorded
from dflib.errors import ConfigError, DflibError, ImageError, ModelError, TableError, VideoError
from dflib.extraction import isolation
from dflib.extraction.video import VideoRows
from dflib.media import container
from dflib.models import registry
from dflib.proof.chain import Chain
from dflib.runtime import gpus
from dflib.scoring import pooling
from dflib.sources.members import read_member
from dflib.storage import Storage
from dflib.tables import current
from dflib.tables.schemas import EXTRACTIONS, FACES, PREDICTIONS, VIDEOS, Table

Outcome = Literal["equal", "within tolerance", "differs", "not checked"]

PIXELS = 0.5
"""Tolerance of boxes and landmarks, pixels: other machines add up the detector's convolutions in another order."""
CONFIDENCE = 1e-3
"""Tolerance of the detector's confidence."""
GREY_LEVELS = 2.0
"""Tolerance of a crop, mean absolute difference of grey levels: other versions of the JPEG encoder round otherwise."""
P_FAKE = 1e-3
"""Tolerance of scores, of faces and of videos."""


LINKS = ("bytes", "decoder", "frames", "faces", "crops", "model", "predictions")
"""Links before the verdicts, in order; ``model`` is one only where the model can't be used."""


@dataclass(frozen=True)
class Check:
    """The comparison of one link of the chain.

    Attributes:
        link: its name.
        outcome: equal: the same to the bit.
        detail: the largest difference, what differs, or why it was not checked.
    """

    link: str
    outcome: Outcome
    detail: str = ""


def replay(chain: Chain, config: Config, storage: Storage, spark: SparkSession) -> list[Check]:
    """Reads, decodes, detects, crops, scores and pools again, with the settings of the chain.

    Links after one that can't be computed are not checked.

    Args:
        chain: the chain.
        config: its section ``report`` has the pooling rules; settings of extraction and model come from the chain.
        storage: reads the video and the model.
        spark: pools the scores.
    """
    # In a task, as extract and score work: with the libraries and on the kind of machine of the executors.
    (replayed,) = spark.sparkContext.parallelize([chain], 1).map(_replayer(config, storage)).collect()
    checks, scores = replayed
    if scores is not None:
        return [*checks, *(_verdict(row, chain.data, scores, config, spark) for row in chain.data["verdicts"])]
    place = LINKS.index(checks[-1].link)
    later = [*(link for link in LINKS[place + 1 :] if link != "model"), *map(_verdict_link, chain.data["verdicts"])]
    return [*checks, *(Check(link, "not checked", f"{checks[-1].link} can't be made again") for link in later)]


def first_difference(checks: Sequence[Check]) -> Check | None:
    """The first link that differs; None when none does."""
    return next((check for check in checks if check.outcome == "differs"), None)


def _replayer(config: Config, storage: Storage) -> Callable[[Chain], tuple[list[Check], dict[str, float] | None]]:
    def work(chain: Chain) -> tuple[list[Check], dict[str, float] | None]:
        scores: dict[str, float] = {}
        checks = list(_checks(chain, config, storage, scores))
        # A video without faces has no scores, and yet verdicts.
        return checks, scores if checks[-1].link == "predictions" else None

    return work


def _checks(chain: Chain, config: Config, storage: Storage, scores: dict[str, float]) -> Iterator[Check]:
    """The checks of all links before the verdicts; fills ``scores`` with p_fake by face_id."""
    data = chain.data
    if current.kind(data["extraction"]["extractor"]) == "crops":
        yield Check("bytes", "not checked", "ingest took ready-cut crops; what they were cut from is not known")
        faces: Sequence[Mapping[str, Any]] | None = [
            face | {"image": chain.images[face["face_id"]]} for face in data["faces"]
        ]
    else:
        faces = yield from _extraction(chain, config, storage)
    if faces is None:
        return
    if data["model"] is None:
        yield Check("predictions", "not checked", "no model")
        return
    try:
        scores |= _score(data["model"], faces, storage, config.score.batch_size)
    except DflibError as error:
        yield Check("model", "differs", str(error))
        return
    yield _predictions(data["predictions"], scores)


def _extraction(
    chain: Chain, config: Config, storage: Storage
) -> Generator[Check, None, Sequence[Mapping[str, Any]] | None]:
    """The checks up to the crops; returns the faces that were found, or None when they can't be compared."""
    data = chain.data
    try:
        content = _read(data["video"], config, storage)
    except (DflibError, VideoError) as error:
        yield Check("bytes", "differs", str(error))
        return None
    yield _bytes(data["extraction"], content)
    yield _decoder(data["extraction"])
    if data["extraction"]["outcome"] != "DONE":
        yield Check("frames", "not checked", f"the extraction is {data['extraction']['outcome']}")
        return None
    if data["settings"] is None:
        yield Check("frames", "not checked", "the run record with the settings of the extraction is gone")
        return None
    try:
        rows = _extract(content, data, config)
    except ConfigError as error:
        yield Check("frames", "not checked", str(error))
        return None
    except VideoError as error:
        yield Check("frames", "differs", str(error))
        return None
    yield _frames(data["frames"], rows.frames)
    yield _faces(data["faces"], rows.faces)
    yield _crops(chain, rows.faces)
    return rows.faces


def _read(video: Mapping[str, Any], config: Config, storage: Storage) -> bytes:
    if video["uri"] is None:
        raise TableError(f"{video['video_id']}: no file of it is known")
    place = (video["uri"], video["offset"], video["length"], video["packing"], video["crc32"], video["size"])
    return read_member(storage, *place, config.extract.max_video_bytes)


def _bytes(extraction: Mapping[str, Any], content: bytes) -> Check:
    found = hashlib.sha256(content).hexdigest()
    if extraction["sha256"] is None:
        return Check("bytes", "not checked", f"no SHA-256 is stored; the bytes have {found} now")
    if extraction["sha256"] != found:
        return Check("bytes", "differs", f"SHA-256 {found}, stored is {extraction['sha256']}")
    return Check("bytes", "equal", f"SHA-256 {found}")


def _decoder(extraction: Mapping[str, Any]) -> Check:
    now, stored = container.version(), extraction["decoder"]
    if stored is None or stored == now:
        return Check("decoder", "not checked" if stored is None else "equal", now)
    # No fault by itself: the frames tell.
    return Check("decoder", "within tolerance", f"{now}, stored is {stored}")


def _extract(content: bytes, data: Mapping[str, Any], config: Config) -> VideoRows:
    settings = recorded.restored(config, data["settings"])
    isolated = isolation.of_worker(settings.faces, gpus.Ask("none", False))
    try:
        return isolated.extract(content, data["video"]["video_id"], data["extraction"]["extractor"], settings)
    finally:
        isolation.close()


def _frames(stored: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> Check:
    names = ("frame_index", "time", "width", "height", "scale", "faces")
    return _compared("frames", _by(stored, "frame_index"), _by(found, "frame_index"), names, {"time": 1e-6})


def _faces(stored: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> Check:
    boxes = dict.fromkeys(("box_x", "box_y", "box_w", "box_h", "crop_x", "crop_y", "landmarks"), PIXELS)
    names = (*boxes, "confidence", "track", "static", "short", "frame_index")
    return _compared("faces", _by(stored, "face_id"), _by(found, "face_id"), names, boxes | {"confidence": CONFIDENCE})


def _crops(chain: Chain, found: Sequence[Mapping[str, Any]]) -> Check:
    import cv2

    largest = 0.0
    for face in found:
        stored = chain.images.get(face["face_id"])
        if stored is None or stored == face["image"]:
            continue  # a face that is not stored was told by the faces
        one, two = (cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR) for image in (stored, face["image"]))
        if one is None or two is None or one.shape != two.shape:
            return Check("crops", "differs", f"{face['face_id']}: another size")
        largest = max(largest, float(np.abs(one.astype(np.int16) - two).mean()))
    return _within("crops", largest, GREY_LEVELS, "grey levels")


def _score(
    model: Mapping[str, Any], faces: Sequence[Mapping[str, Any]], storage: Storage, batch_size: int
) -> dict[str, float]:
    """p_fake by face_id, in batches as score makes them."""
    from dflib.models.view import cut_row

    view = View.model_validate_json(model["view"])
    scorer, _ = registry.open_model(storage, model["uri"], model["sha256"])
    scores: dict[str, float] = {}
    images = np.zeros((batch_size, view.size, view.size, 3), np.uint8)
    ids: list[str] = []
    for number, face in enumerate(faces, start=1):
        # As in score, a face that can't be cut has no score, and a batch is padded with zeros.
        with contextlib.suppress(ImageError, ModelError):
            images[len(ids)] = cut_row(face["image"], _in_crop(face), _landmarks_in_crop(face), view)
            ids.append(face["face_id"])
        if ids and (len(ids) == batch_size or number == len(faces)):
            images[len(ids) :] = 0
            scores |= {face_id: float(p) for face_id, p in zip(ids, scorer(images), strict=False)}
            ids = []
    return scores


def _in_crop(face: Mapping[str, Any]) -> list[float] | None:
    """The box in pixels of the crop; None for a ready-cut crop."""
    if face["box_x"] is None:
        return None
    scale = face["crop_scale"]
    left, top = (face["box_x"] - face["crop_x"]) * scale, (face["box_y"] - face["crop_y"]) * scale
    return [left, top, face["box_w"] * scale, face["box_h"] * scale]


def _landmarks_in_crop(face: Mapping[str, Any]) -> list[float]:
    if face["landmarks"] is None:
        return [float("nan")] * 10
    origin = (face["crop_x"], face["crop_y"])
    return [(value - origin[index % 2]) * face["crop_scale"] for index, value in enumerate(face["landmarks"])]


def _predictions(stored: Sequence[Mapping[str, Any]], scores: Mapping[str, float]) -> Check:
    before = {row["face_id"]: row["p_fake"] for row in stored}
    if not before:
        return Check("predictions", "not checked", "the model has not scored the video")
    if set(before) != set(scores):
        return Check("predictions", "differs", f"{len(before)} faces are stored, {len(scores)} were found")
    return _within("predictions", max(_distance(before[face], scores[face]) for face in before), P_FAKE, "of p_fake")


def _verdict_link(stored: Mapping[str, Any]) -> str:
    return f"verdict {stored['rule']}"


def _verdict(
    stored: Mapping[str, Any], data: Mapping[str, Any], scores: Mapping[str, float], config: Config, spark: SparkSession
) -> Check:
    link = _verdict_link(stored)
    if stored["rule"] not in pooling.rule_names(config.report).values():
        return Check(link, "not checked", "report.rules, report.threshold or filters are others now")
    predictions = [row | {"p_fake": scores.get(row["face_id"], row["p_fake"])} for row in data["predictions"]]
    pooled = pooling.pool(
        *(
            _frame(spark, PREDICTIONS, predictions),
            _frame(spark, FACES, [face | {"image": b""} for face in data["faces"]]),
        ),
        *(_frame(spark, VIDEOS, [data["video"]]), _frame(spark, EXTRACTIONS, [data["extraction"]])),
        spark.createDataFrame(pa.schema([("video_id", pa.string()), ("split", pa.string())]).empty_table()),
        config.report,
    )
    row = pooled.select(F.inline("rules")).where(F.col("rule") == stored["rule"]).first()
    assert row is not None
    verdict = "UNDETERMINED" if row["fake"] is None else "FAKE" if row["fake"] else "REAL"
    if verdict != stored["verdict"]:
        return Check(link, "differs", f"{verdict}, stored is {stored['verdict']}")
    if verdict == "UNDETERMINED":
        return Check(link, "equal", verdict)
    return _within(link, abs(row["p_fake"] - stored["p_fake"]), P_FAKE, "of p_fake")


def _frame(spark: SparkSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows of a chain as a DataFrame; times are text there, and no rule reads them."""
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    plain = [
        {field.name: None if pa.types.is_timestamp(field.type) else row.get(field.name) for field in schema}
        for row in rows
    ]
    return spark.createDataFrame(pa.Table.from_pylist(plain, schema))


def _by(rows: Sequence[Mapping[str, Any]], key: str) -> dict[Any, Mapping[str, Any]]:
    return {row[key]: row for row in rows}


def _compared(
    link: str,
    stored: Mapping[Any, Mapping[str, Any]],
    found: Mapping[Any, Mapping[str, Any]],
    names: Sequence[str],
    tolerances: Mapping[str, float],
) -> Check:
    if set(stored) != set(found):
        return Check(link, "differs", f"{len(stored)} are stored, {len(found)} were found; {_first(stored, found)}")
    worst, where = 0.0, ""
    for key, row in stored.items():
        for name in names:
            distance = _distance(row[name], found[key][name])
            allowed = tolerances.get(name, 0.0)
            if distance > allowed:
                return Check(link, "differs", f"{key}: {name} is {found[key][name]}, stored is {row[name]}")
            if distance > worst:
                worst, where = distance, f"{name} by up to {distance:.2g}"
    return Check(link, "within tolerance", where) if worst else Check(link, "equal", f"{len(stored)}")


def _distance(one: Any, two: Any) -> float:
    """0 when equal, the largest difference of numbers, infinite otherwise; NaN equals NaN only."""
    if one == two:
        return 0.0
    if one is None or two is None or np.shape(one) != np.shape(two) or isinstance(one, str | bool):
        return float("inf")
    first, second = np.asarray(one, np.float64), np.asarray(two, np.float64)
    apart = np.where(np.isnan(first) & np.isnan(second), 0.0, np.abs(first - second))
    return float(np.max(np.nan_to_num(apart, nan=np.inf), initial=0.0))


def _first(stored: Mapping[Any, Any], found: Mapping[Any, Any]) -> str:
    """The first key that is in one only."""
    key = min(set(stored) ^ set(found))
    return f"{key} {'was not found' if key in stored else 'is not stored'}"


def _within(link: str, difference: float, tolerance: float, unit: str) -> Check:
    if difference == 0:
        return Check(link, "equal")
    return Check(
        link, "within tolerance" if difference <= tolerance else "differs", f"by up to {difference:.2g} {unit}"
    )
