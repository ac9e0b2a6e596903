"""Brings the scores of detectors that give no probability to 0..1, so that ``faces.threshold`` means much the same.

The settings in ``faces`` speak of confidences as MTCNN gives them, where .95 is a face that one may count on.
"""

import math
from dataclasses import dataclass

SURE = 0.95

LEAST = 1e-6
"""Confidences nearer than this to 0 or 1 are taken for this far from it: the ends have no score."""


@dataclass(frozen=True)
class Scale:
    """A logistic curve through two points of a detector's scores; strictly rising, so no order is changed.

    Attributes:
        even: the score that becomes .5.
        sure: the score that becomes .95; above ``even``.
    """

    even: float
    sure: float

    def confidence(self, score: float) -> float:
        """0 to 1: 1 / (1 + 19^-s), where s is 0 at ``even`` and 1 at ``sure``."""
        steps = (score - self.even) / (self.sure - self.even)
        # Bounded so that no score, however far out, overflows.
        return 1 / (1 + math.exp(-_odds(SURE) * max(-100.0, min(100.0, steps))))

    def score(self, confidence: float) -> float:
        """The score that has this confidence."""
        bounded = max(LEAST, min(1 - LEAST, confidence))
        return self.even + (self.sure - self.even) * _odds(bounded) / _odds(SURE)


def _odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
