"""What a report found out about one model on one extractor's faces; the page and the text are views of it."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from dflib import config
from dflib.models.registry import Model
from dflib.reporting.slices import MetricRow
from dflib.scoring import pooling, rules
from dflib.scoring.rules import Rule

FACE_BINS = 20
"""Bins of the face score histogram, equal widths from 0 to 1."""


@dataclass(frozen=True)
class Findings:
    """One model, one extractor.

    Attributes:
        videos: one row a video of the ledger, sorted by video_id (see :func:`dflib.reporting.slices.metric_rows`),
            with ``reason`` where UNDETERMINED.
        rows: metrics of all slices; empty when no video has a label.
        face_bins: number of usable faces in each bin of p_fake, int64 [20], by REAL, FAKE and unlabelled.
        versions: version of each table that was read.
        not_extracted: videos without a row in the ledger of this extractor; they are not judged.
    """

    model: Model
    extractor: str
    settings: config.ReportConfig
    videos: pd.DataFrame
    rows: list[MetricRow]
    face_bins: dict[str, npt.NDArray[np.int64]]
    versions: dict[str, int]
    not_extracted: int

    @property
    def rules(self) -> dict[str, str]:
        """Short and full name of each rule, the one of the headline first."""
        return pooling.rule_names(self.settings)

    @property
    def rule(self) -> str:
        """Short name of the rule of the headline."""
        return next(iter(self.rules))

    @property
    def pooling_rule(self) -> Rule:
        """The rule of the headline."""
        return rules.load(self.rule, self.settings.threshold)

    @property
    def labelled(self) -> pd.DataFrame:
        """Rows of ``videos`` with a label."""
        return self.videos[self.videos["label"].notna()]

    @property
    def headline_slice(self) -> str:
        """``split=test`` where the model was trained here and such videos have labels, else ``all``."""
        test = self.labelled["split"] == "test"
        return "split=test" if self.model.training_set and test.any() else "all"

    @property
    def headline_videos(self) -> pd.DataFrame:
        """Labelled videos of the headline's slice."""
        labelled = self.labelled
        return labelled[labelled["split"] == "test"] if self.headline_slice == "split=test" else labelled

    @property
    def has_seen_videos(self) -> bool:
        """Whether the headline's slice holds videos that the model was trained on or chosen by."""
        seen = self.headline_videos["split"].isin(["train", "validation"])
        return bool(self.model.training_set) and bool(seen.any())

    @property
    def reasons(self) -> dict[str, int]:
        """Number of UNDETERMINED videos by reason, most frequent first."""
        counted = self.videos["reason"].value_counts()
        ordered = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
        return {str(reason): int(count) for reason, count in ordered}

    def verdict_counts(self) -> dict[str, int]:
        """Videos by verdict of the headline's rule."""
        undetermined = int(self.videos["reason"].notna().sum())
        fake = int(self.videos[f"{self.rule}_fake"].sum())
        return {"FAKE": fake, "REAL": len(self.videos) - undetermined - fake, "UNDETERMINED": undetermined}

    def metric(
        self, name: str, level: str = "video", slice_name: str | None = None, rule: str | None = None
    ) -> MetricRow:
        """One metric, by default of the headline's slice and rule.

        Raises:
            KeyError: it was not computed.
        """
        full_name = pooling.face_rule_name(self.settings) if level == "face" else self.rules[rule or self.rule]
        wanted = (full_name, level, slice_name or self.headline_slice, name)
        return self._by_key[wanted]

    @property
    def slice_names(self) -> list[str]:
        """All slices with metrics, in order."""
        return list(dict.fromkeys(row.slice for row in self.rows))

    def confusion(self, level: str) -> dict[str, int]:
        """true_fake, false_real, true_real and false_fake of the headline's slice and rule."""
        names = ("true_fake", "false_real", "true_real", "false_fake")
        return {name: round(self.metric(name, level).value) for name in names}

    @functools.cached_property
    def _by_key(self) -> dict[tuple[str, str, str, str], MetricRow]:
        return {(row.rule, row.level, row.slice, row.name): row for row in self.rows}
