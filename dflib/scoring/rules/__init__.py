"""Pooling rules: how the scores of a video's faces become the video's score and verdict.

A rule is a module of this package and a line in :data:`dflib.parts.catalog.RULES`.  The module defines ``PART``, a
function of the face threshold and of the rule's argument that returns a :class:`Rule`::

    def _mean(threshold: float, argument: str) -> Rule:
        return Rule(
            p_fake=lambda: F.col("score_sum") / F.col("faces_scored"), limit=threshold, is_probability=True
        )

    PART = _mean

A rule sees a video with at least one usable face, all of them scored, as these columns:

``scores``
    array<double>: the scores of its usable faces, frame by frame, ascending within a frame.
``score_sum``, ``faces_scored``
    their sum and number.
``frames``
    array<struct<frame_index, scores, top>>: its frames with a usable face in presentation order; ``top`` is the
    highest score of the frame.
``frames_used``
    number of those frames.

For videos that cannot be decided, the result of a rule is discarded; it must not fail on them: their arrays are empty
and their counts 0.  Wrap divisors in ``nullif`` and read elements with ``F.get``, which returns null beyond the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import Column

from dflib.parts import catalog


@dataclass(frozen=True)
class Rule:
    """A pooling rule with its parameters.

    Attributes:
        p_fake: makes the column of the pooled score, double from 0 (real) to 1 (fake).  A function, because columns
            need a Spark session and rules are checked before there is one.
        limit: the video is FAKE when ``p_fake`` is above this; equal to it is REAL.  None: no fixed limit exists.
        fake: makes the column of the verdict, true when FAKE; required where ``limit`` is None.
        is_probability: whether ``p_fake`` may be read as a probability.  Log loss, Brier score and reliability are
            computed for such rules only.
        parameters: the rule's own parameters as ``name=value``, as they appear in its full name; empty when it has none
            beyond the threshold.
    """

    p_fake: Callable[[], Column]
    limit: float | None = None
    fake: Callable[[], Column] | None = None
    is_probability: bool = False
    parameters: str = ""

    def is_fake(self) -> Column:
        """The column of the verdict: true when FAKE."""
        if self.fake is not None:
            return self.fake()
        if self.limit is None:
            raise TypeError("a pooling rule needs a limit or a function for its verdict")
        return self.p_fake() > self.limit


class RulePart(Protocol):
    """What a module of this package defines as ``PART``."""

    def __call__(self, threshold: float, argument: str) -> Rule:
        """The rule; ``argument`` matches the pattern in the catalog and is empty for rules without one."""


def load(text: str, threshold: float) -> Rule:
    """The rule that ``report.rules`` calls ``text``, such as ``share:0.5``.

    Args:
        text: name and argument as configured.
        threshold: ``report.threshold``, above which a face is suspicious.
    """
    part: RulePart = catalog.RULES.load(text)
    return part(threshold, catalog.RULES.split(text)[1])
