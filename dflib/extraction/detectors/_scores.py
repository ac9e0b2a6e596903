"""Maps the scores of detectors that return no probability to 0..1, so that ``faces.threshold`` means much the same.

The thresholds of the section ``faces`` are in terms of MTCNN's confidence, where .95 is a reliable face.
"""

import math
from dataclasses import dataclass

RELIABLE = 0.95

MIN_DISTANCE = 1e-6
"""Confidences are clipped to this distance from 0 and 1, which no finite score reaches."""


@dataclass(frozen=True)
class Scale:
    """A logistic curve through two points of a detector's scores; strictly increasing, so the order is kept.

    Attributes:
        even: the score that is mapped to .5.
        reliable: the score that is mapped to .95; above ``even``.
    """

    even: float
    reliable: float

    def confidence(self, score: float) -> float:
        """0 to 1: 1 / (1 + 19^-s), where s is 0 at ``even`` and 1 at ``reliable``."""
        steps = (score - self.even) / (self.reliable - self.even)
        # Clipped, so that exp does not overflow.
        return 1 / (1 + math.exp(-_log_odds(RELIABLE) * max(-100.0, min(100.0, steps))))

    def score(self, confidence: float) -> float:
        """The score that has this confidence."""
        clipped = max(MIN_DISTANCE, min(1 - MIN_DISTANCE, confidence))
        return self.even + (self.reliable - self.even) * _log_odds(clipped) / _log_odds(RELIABLE)


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
