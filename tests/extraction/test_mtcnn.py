"""MTCNN against the package called directly."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import tensorflow as tf
from mtcnn import MTCNN
from numpy.typing import NDArray

from dflib.extraction.detect import Detection
from dflib.extraction.detectors._mtcnn_p_net import rearranged
from dflib.extraction.detectors.mtcnn import Mtcnn
from dflib.extraction.tracks import overlap
from tests.extraction.conftest import Rgb

TOLERANCE = (0.01, 1e-3, 0.01)
"""Pixels of the box, confidence, pixels of the landmarks."""


@pytest.fixture(scope="module")
def package() -> MTCNN:
    return MTCNN()


def by_package(package: MTCNN, image: Rgb) -> NDArray[np.float64]:
    rows = package.detect_faces(image, output_type="numpy", box_format="xyxy", fit_to_image=False, threshold_onet=0.7)
    return np.asarray(rows[np.argsort(-rows[:, 5])])


def differences(faces: list[Detection], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest difference of box, confidence and landmarks of each face."""
    assert len(faces) == len(rows)
    differing = []
    for face, row in zip(faces, rows, strict=True):
        assert face.landmarks is not None
        x, y, w, h = face.box
        box = np.abs(np.array([x, y, x + w, y + h]) - row[1:5]).max()
        points = np.abs(face.landmarks.T.ravel() - row[6:16]).max()
        differing.append([box, abs(face.confidence - row[5]), points])
    return np.array(differing).reshape(-1, 3)


@pytest.mark.parametrize("width", [90, 200, 512, 640])
def test_detect_equals_the_package(mtcnn: Mtcnn, package: MTCNN, portrait: Rgb, width: int) -> None:
    height = round(width * portrait.shape[0] / portrait.shape[1])
    image = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA)
    turned = np.ascontiguousarray(image[:, ::-1])
    rows = by_package(package, image), by_package(package, turned)
    for one, expected in zip((image, turned), rows, strict=True):
        (faces,) = mtcnn.detect([one])
        assert len(faces) >= 1
        assert (differences(faces, expected).max(axis=0) < TOLERANCE).all()
    # A batch with more images than go through P-Net together: the same faces, although a tie between two proposals
    # may be broken differently, since the last bits depend on the batch size.
    for faces, expected in zip(mtcnn.detect([image, turned] * 3), rows * 3, strict=True):
        assert (differences(faces, expected).max(axis=0) < (2, 0.01, 2)).all()


@pytest.mark.parametrize("shape", [(1, 12, 12), (18, 12, 106), (5, 40, 13), (3, 97, 54)])
def test_rearranged_p_net_equals_the_package(package: MTCNN, shape: tuple[int, int, int]) -> None:
    """Compiled for all sizes, as in use; 18 images with a single row of cells once crashed inside TensorFlow."""
    p_net = package.stages[0].model
    noise = np.random.default_rng(5).uniform(-1, 1, (*shape, 3)).astype(np.float32)
    offsets, classes = p_net.call(noise)
    network = tf.function(rearranged(p_net), input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    found_offsets, confidence = network(noise)
    np.testing.assert_allclose(found_offsets, offsets, atol=1e-5)
    np.testing.assert_allclose(confidence, classes[..., 1], atol=1e-5)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["abofeumbvv", "abqwwspghj", "anndvqgoko", "knqhpwoigk", "yhffcuhhjy"])
def test_detect_equals_the_package_on_real_frames(name: str, sample_data: Path, mtcnn: Mtcnn, package: MTCNN) -> None:
    """Every fifth frame: 300 images in five clips."""
    images = []
    with av.open(str(sample_data / "dfdc" / "dfdc_train_part_0" / f"{name}.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 5 == 0:
                images.append(frame.reformat(frame.width // 3, frame.height // 3, format="rgb24").to_ndarray())
    rows = [by_package(package, image) for image in images]
    alone = [differences(mtcnn.detect([image])[0], expected) for image, expected in zip(images, rows, strict=True)]
    assert len(images) >= 60 and sum(map(len, alone)) >= 40
    assert (np.concatenate(alone).max(axis=0) < TOLERANCE).all()
    counts = 0
    for faces, expected in zip(mtcnn.detect(images), rows, strict=True):
        counts += len(faces) != len(expected)
        for face, (x1, y1, x2, y2) in zip(faces, expected[:, 1:5], strict=False):
            assert len(faces) != len(expected) or overlap(face, Detection((x1, y1, x2 - x1, y2 - y1), 1, None)) > 0.9
    assert counts <= 1


def test_detect_raises_for_images_of_different_sizes(mtcnn: Mtcnn) -> None:
    """The package turns any InvalidArgumentError in a batch into "no faces"."""
    with pytest.raises(ValueError):
        mtcnn.detect([np.zeros((40, 40, 3), np.uint8), np.zeros((50, 40, 3), np.uint8)])


def test_landmarks_are_in_the_documented_order(mtcnn: Mtcnn, portrait: Rgb) -> None:
    face = mtcnn.detect([portrait])[0][0]
    assert face.landmarks is not None
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert 0.9 < face.confidence <= 1


@pytest.mark.parametrize("shape", [(1, 1), (11, 11), (12, 40), (30, 30), (64, 1), (240, 320)])
def test_detect_and_follow_find_nothing_in_a_grey_image(mtcnn: Mtcnn, shape: tuple[int, int]) -> None:
    assert mtcnn.detect([np.full((*shape, 3), 128, np.uint8)] * 2) == [[], []]
    assert mtcnn.follow([np.full((*shape, 3), 128, np.uint8)], [[(1.0, 1.0, 5.0, 5.0)]]) == [[]]
    assert mtcnn.detect([]) == [] and mtcnn.follow([], []) == []


@pytest.mark.parametrize("shift", [(0, 0), (40, 0), (0, -40), (-30, 30)])
@pytest.mark.parametrize("size", [0.75, 1, 1.3])
def test_follow_finds_a_face_near_its_expected_box(
    mtcnn: Mtcnn, portrait: Rgb, shift: tuple[int, int], size: float
) -> None:
    """The face that detect finds, for expected boxes of wrong position and size; nothing elsewhere."""
    image = cv2.resize(portrait, (256, 300), interpolation=cv2.INTER_AREA)
    face = mtcnn.detect([image])[0][0]
    x, y, w, h = face.box
    wrong = (x + shift[0] + w * (1 - size) / 2, y + shift[1] + h * (1 - size) / 2, w * size, h * size)
    (near,) = mtcnn.follow([image], [[wrong]])
    assert overlap(near[0], face) > 0.8 and near[0].confidence > 0.95
    assert near[0].landmarks is not None and face.landmarks is not None
    assert np.linalg.norm(near[0].landmarks - face.landmarks, axis=1).mean() < 0.05 * max(w, h)
    assert mtcnn.follow([image], [[]]) == [[]]
    assert mtcnn.follow([image], [[(0.0, 240.0, 20.0, 20.0)]]) == [[]]
