"""Which faces of a video are shown, and how large."""

import base64

import cv2
import numpy as np
import pytest
from pyspark.sql import functions as F

from dflib.reporting import thumbnails
from dflib.reporting.thumbnails import Thumbnail
from dflib.tables.schemas import FACES, PREDICTIONS
from dflib.tables.store import Tables
from tests.score_rows import SETTINGS, ScoreRows

pytestmark = pytest.mark.spark


def scored(faces: list[Thumbnail]) -> list[tuple[float | None, int]]:
    return [(face.p_fake, face.frame_index) for face in faces]


def test_extremes_and_first_choose_faces_by_score(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video("t/seven", [[0.5], [0.1, 0.9], [0.4], [0.3], [0.8], [0.2]])
    rows.video("t/two", [[0.7], [0.6]])
    rows.video("t/one", [[0.7]])
    rows.video("t/left_out_last", [[0.9], [0.2], [0.3]], static=[(0, 0)])
    rows.video("t/static_only", [[0.9], [0.1]], static=[(0, 0), (1, 0)])
    rows.video("t/unscored", [[None], [None]])
    rows.video("t/faceless", [[], []])
    rows.video("t/other", [[0.5]])
    rows.faces[0]["image"] = b"not an image"
    rows.write(tables)
    faces, predictions = tables.read(FACES), tables.read(PREDICTIONS)
    wanted = [row["video_id"] for row in rows.videos if row["video_id"] != "t/other"]
    found = thumbnails.extremes(faces, predictions, wanted, SETTINGS, side=40)
    assert {video_id: scored(shown) for video_id, shown in found.items()} == {
        "t/seven": [(0.1, 15), (0.4, 30), (0.9, 15)],
        "t/two": [(0.6, 15), (0.7, 0)],
        "t/one": [(0.7, 0)],
        "t/left_out_last": [(0.2, 15), (0.3, 30)],
        "t/static_only": [(0.1, 15), (0.9, 0)],
        "t/unscored": [(None, 0), (None, 15)],
    }
    for face in found["t/seven"]:
        assert face.image is not None and face.image.startswith("data:image/jpeg;base64,")
        content = np.frombuffer(base64.b64decode(face.image.partition(",")[2]), np.uint8)
        assert max(cv2.imdecode(content, cv2.IMREAD_COLOR).shape) == 40

    highest = thumbnails.first(
        faces, predictions, ["t/seven", "t/static_only"], SETTINGS, 40, F.col("p_fake").desc(), 4
    )
    assert {video_id: scored(shown) for video_id, shown in highest.items()} == {
        "t/seven": [(0.9, 15), (0.8, 60), (0.5, 0), (0.4, 30)]
    }
    assert [face.image is None for face in highest["t/seven"]] == [False, False, True, False]
