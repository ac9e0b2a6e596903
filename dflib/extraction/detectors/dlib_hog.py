"""dlib's frontal face detector: histograms of oriented gradients and five linear SVMs (King 2015, arXiv:1502.00046).

It sees upright faces, gives no landmarks, and needs the extra ``dlib``. dlib is imported inside functions.
"""

from collections.abc import Sequence

import numpy as np

from dflib.extraction.detect import Detection, Image, most_confident_first
from dflib.extraction.detectors import installed
from dflib.extraction.detectors.scores import Scale

UPSAMPLING = 1
"""Times the picture is doubled first. The detector looks at 80 pixels, so faces from some 40 pixels up are found."""

MARGINS = Scale(even=0.0, sure=0.5)
"""Of the SVM's margin. dlib's own threshold, 0, becomes .5, so ``faces.threshold`` .5 with ``lone_threshold`` and
``track_threshold`` .5 is dlib's own verdict. .5 becomes .95: on 25 frames of five clips and 22 pictures without a face, 16
of the 19 faces found had 1.1 to 2.2, and the only false box above 0 had .3."""

LEAST_MARGIN = -1.0
"""Nothing below this is asked for (confidence .003), whatever the floor: there is no end to such boxes."""


class DlibHog:
    """The detector; see :class:`dflib.extraction.detect.Detector`.

    Confidence is no probability: it is :data:`MARGINS` of the SVM's margin.
    """

    def __init__(self, floor: float) -> None:
        """
        Args:
            floor: confidence above which faces are given.

        Raises:
            ConfigError: dlib is not installed.
        """
        installed.check("dlib_hog")
        import dlib

        self._detector = dlib.get_frontal_face_detector()
        self._floor = floor

    def detect(self, pictures: Sequence[Image]) -> list[list[Detection]]:
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Image) -> list[Detection]:
        least = max(MARGINS.score(self._floor), LEAST_MARGIN)
        boxes, margins, _ = self._detector.run(np.ascontiguousarray(picture), UPSAMPLING, least)
        found = []
        for box, margin in zip(boxes, margins, strict=True):
            confidence = MARGINS.confidence(float(margin))
            if confidence > self._floor:
                sides = (float(box.left()), float(box.top()), float(box.width()), float(box.height()))
                found.append(Detection(sides, confidence, None))
        return most_confident_first(found)
