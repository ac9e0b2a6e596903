"""The detector of Viola and Jones (2001) with OpenCV's frontal Haar cascade, which is part of OpenCV's wheel.

It detects upright frontal faces in grey levels and has no landmarks.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflib.extraction.detect import Detection, DetectorPart, most_confident_first
from dflib.extraction.detectors._scores import Scale
from dflib.media.frame import Image

CASCADE = "haarcascade_frontalface_alt2.xml"
"""The frontal cascade of OpenCV whose level weights separate faces best: on 25 frames of five clips, alt2 had one
false positive, below all faces; default had seven, one of them above a quarter of the faces."""

# OpenCV's defaults.
SCALE_FACTOR, MIN_NEIGHBOURS = 1.1, 3

MIN_SIDE = 20
"""Side in pixels of the cascade's training images, and so of the smallest face."""

MARGINS = Scale(even=0.0, reliable=1.5)
"""Of the level weight minus the threshold of the last stage. A window that just passes the last stage has 0, mapped to
.5: with ``faces.threshold``, ``lone_threshold`` and ``track_threshold`` at .5, all that the cascade detects is kept.
1.5 is mapped to .95: on 25 frames of five clips and 22 images without a face, faces had 1.4 to 3.8, and the two false
positives .7 and 1.4."""


class Haar:
    """The cascade; see :class:`dflib.extraction.detect.Detector`.

    Confidence is no probability: it is :data:`MARGINS` of the margin by which the best window of a box passes the
    last stage.
    """

    def __init__(self, threshold: float) -> None:
        """
        Args:
            threshold: confidence above which faces are returned; none has less than .5.
        """
        import cv2
        from cv2.data import haarcascades

        path = str(Path(haarcascades) / CASCADE)
        self._cascade = cv2.CascadeClassifier(path)
        file = cv2.FileStorage(path, cv2.FILE_STORAGE_READ)  # its nodes are valid while it exists
        stages = file.getNode("cascade").getNode("stages")
        self._stage_threshold = float(stages.at(stages.size() - 1).getNode("stageThreshold").real())
        self._threshold = threshold

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> list[Detection]:
        import cv2

        # OpenCV returns weights only together with levels, which are all equal: every box has passed every stage.
        boxes, _, weights = self._cascade.detectMultiScale3(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
            scaleFactor=SCALE_FACTOR,
            minNeighbors=MIN_NEIGHBOURS,
            minSize=(MIN_SIDE, MIN_SIDE),
            outputRejectLevels=True,
        )
        found = []
        for box, weight in zip(boxes, np.ravel(weights), strict=True):
            confidence = MARGINS.confidence(float(weight) - self._stage_threshold)
            if confidence > self._threshold:
                x, y, width, height = (float(value) for value in box)
                found.append(Detection((x, y, width, height), confidence, None))
        return most_confident_first(found)


PART = DetectorPart(make=lambda threshold, device: Haar(threshold))
