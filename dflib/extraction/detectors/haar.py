"""Viola and Jones' detector (2001) on OpenCV's frontal Haar cascade; the cascade is in OpenCV's wheel.

It sees upright faces from the front, in grey, and gives no landmarks.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflib.extraction.detect import Detection, Image, most_confident_first
from dflib.extraction.detectors.scores import Scale

CASCADE = "haarcascade_frontalface_alt2.xml"
"""Of OpenCV's frontal cascades the one that parts faces from the rest best by its level weights: on 25 frames of five
clips alt2 gave one false box, below all faces, and default seven, one of them above a quarter of the faces."""

# OpenCV's defaults.
SHRINK, NEIGHBOURS = 1.1, 3

SMALLEST = 20
"""Side in pixels of what the cascade was trained on: the smallest face."""

MARGINS = Scale(even=0.0, sure=1.5)
"""Of the level weight less the last stage's threshold. A window that has just passed the last stage has 0 and becomes
.5, so ``faces.threshold`` .5 with ``lone_threshold`` and ``track_threshold`` .5 is the cascade's own verdict. 1.5 becomes .95:
on 25 frames of five clips and 22 pictures without a face, faces had 1.4 to 3.8 and the two false boxes .7 and 1.4."""


class Haar:
    """The cascade; see :class:`dflib.extraction.detect.Detector`.

    Confidence is no probability: it is :data:`MARGINS` of how far the sum of the last stage lies above what the stage
    asks for, in the best of the windows that make up a box.
    """

    def __init__(self, floor: float) -> None:
        """
        Args:
            floor: confidence above which faces are given; below .5 there are none.
        """
        import cv2
        from cv2.data import haarcascades

        path = str(Path(haarcascades) / CASCADE)
        self._cascade = cv2.CascadeClassifier(path)
        file = cv2.FileStorage(path, cv2.FILE_STORAGE_READ)  # its nodes live as long as it
        stages = file.getNode("cascade").getNode("stages")
        self._threshold = float(stages.at(stages.size() - 1).getNode("stageThreshold").real())
        self._floor = floor

    def detect(self, pictures: Sequence[Image]) -> list[list[Detection]]:
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Image) -> list[Detection]:
        import cv2

        # OpenCV gives weights only together with levels, which are all alike: every box has passed every stage.
        boxes, _, weights = self._cascade.detectMultiScale3(
            cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
            scaleFactor=SHRINK,
            minNeighbors=NEIGHBOURS,
            minSize=(SMALLEST, SMALLEST),
            outputRejectLevels=True,
        )
        found = []
        for box, weight in zip(boxes, np.ravel(weights), strict=True):
            confidence = MARGINS.confidence(float(weight) - self._threshold)
            if confidence > self._floor:
                x, y, width, height = (float(side) for side in box)
                found.append(Detection((x, y, width, height), confidence, None))
        return most_confident_first(found)
