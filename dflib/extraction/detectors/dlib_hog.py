"""dlib's frontal face detector: histograms of oriented gradients and five linear SVMs (King 2015, arXiv:1502.00046).

It detects upright faces, has no landmarks, and needs the extra ``dlib``.
"""

from collections.abc import Sequence

import numpy as np

from dflib.extraction.detect import Detection, DetectorPart, most_confident_first
from dflib.extraction.detectors._scores import Scale
from dflib.media.frame import Image

UPSAMPLING = 1
"""Number of times the image is doubled before detection. The detector's window has a side of 80 pixels, so faces from
about 40 pixels up are detected."""

MARGINS = Scale(even=0.0, reliable=0.5)
"""Of the SVM's margin. dlib's own threshold, 0, is mapped to .5: with ``faces.threshold``, ``lone_threshold`` and
``track_threshold`` at .5, all that dlib detects is kept. .5 is mapped to .95: on 25 frames of five clips and 22 images
without a face, 16 of the 19 faces detected had 1.1 to 2.2, and the only false positive above 0 had .3."""

MIN_MARGIN = -1.0
"""No lower margin is requested (confidence .003), whatever the threshold: the number of such boxes has no bound."""


class DlibHog:
    """The detector; see :class:`dflib.extraction.detect.Detector`.

    Confidence is no probability: it is :data:`MARGINS` of the SVM's margin.
    """

    def __init__(self, threshold: float) -> None:
        """
        Args:
            threshold: confidence above which faces are returned.
        """
        import dlib

        self._detector = dlib.get_frontal_face_detector()
        self._threshold = threshold

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> list[Detection]:
        margin_threshold = max(MARGINS.score(self._threshold), MIN_MARGIN)
        boxes, margins, _ = self._detector.run(np.ascontiguousarray(image), UPSAMPLING, margin_threshold)
        found = []
        for box, margin in zip(boxes, margins, strict=True):
            confidence = MARGINS.confidence(float(margin))
            if confidence > self._threshold:
                corner_and_size = (float(box.left()), float(box.top()), float(box.width()), float(box.height()))
                found.append(Detection(corner_and_size, confidence, None))
        return most_confident_first(found)


PART = DetectorPart(make=lambda threshold, device: DlibHog(threshold))
