"""MTCNN against the package called directly."""

import cv2
import numpy as np
import pytest
from mtcnn import MTCNN

from dflib.extraction.detect import Mtcnn, scale_by_width
from tests.extraction.conftest import Rgb


@pytest.fixture(scope="module")
def package() -> MTCNN:
    return MTCNN()


@pytest.mark.parametrize(("width", "scale"), [(299, 2), (300, 1), (1000, 1), (1001, 0.5), (1900, 0.5), (1901, 1 / 3)])
def test_width_rule(width: int, scale: float) -> None:
    assert scale_by_width(width) == scale


@pytest.mark.parametrize("width", [200, 512, 1201])
def test_detections_are_those_of_the_package(mtcnn: Mtcnn, package: MTCNN, portrait: Rgb, width: int) -> None:
    height = round(width * portrait.shape[0] / portrait.shape[1])
    picture = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA)
    scale = scale_by_width(width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    expected = package.detect_faces(
        small, output_type="numpy", box_format="xyxy", fit_to_image=False, threshold_onet=0.7
    )
    expected = expected[np.argsort(-expected[:, 5])]
    found = mtcnn.detect(picture)
    assert len(found) == len(expected) >= 1
    across, down = width / size[0], height / size[1]
    for face, row in zip(found, expected, strict=True):
        x, y, w, h = face.box
        assert [x / across, y / down, (x + w) / across, (y + h) / down] == pytest.approx(row[1:5], abs=1e-6)
        assert face.confidence == row[5]
        assert face.landmarks[:, 0] / across == pytest.approx(row[6:11], abs=1e-6)
        assert face.landmarks[:, 1] / down == pytest.approx(row[11:16], abs=1e-6)


def test_landmarks_are_in_the_order_told(mtcnn: Mtcnn, portrait: Rgb) -> None:
    face = mtcnn.detect(portrait)[0]
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert 0.9 < face.confidence <= 1


@pytest.mark.parametrize("shape", [(1, 1), (11, 11), (12, 40), (30, 30), (64, 1), (240, 320)])
def test_no_face(mtcnn: Mtcnn, shape: tuple[int, int]) -> None:
    assert mtcnn.detect(np.full((*shape, 3), 128, np.uint8)) == []
