"""The results of a report on one model and one extractor; the page and the text are views of them."""

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

SCORE_BINS = 20
"""Bins of the score histograms, equal widths from 0 to 1."""

Scores = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class FaceCounts:
    """Faces in the table, and how many of them take part in no verdict, by reason; each face counts once.

    Attributes:
        found: all faces of the extractor's videos.
        changed: their video's file has changed since.
        static: on a track that never moves, and ``report.exclude_static`` is set.
        poor: beyond the limits of ``report.quality``.
        unscored: usable, but without a prediction by the model.
        undetermined: usable and scored, but their video is UNDETERMINED.
    """

    found: int
    changed: int
    static: int
    poor: int
    unscored: int
    undetermined: int

    @property
    def used(self) -> int:
        """Faces that take part in a verdict."""
        return self.found - self.changed - self.static - self.poor - self.unscored - self.undetermined


@dataclass(frozen=True)
class Findings:
    """The results for one model on the faces of one extractor.

    Attributes:
        videos: one row per video of the extraction ledger, sorted by video_id (see
            :func:`dflib.reporting.slices.metric_rows`), with ``reason`` where UNDETERMINED.
        rows: metrics of all slices; empty when no video has a label.
        face_bins: number of usable faces in each bin of p_fake, int64 [20], by REAL, FAKE and unlabelled.
        versions: version of each table that was read.
        not_extracted: videos without a row in the ledger of this extractor; they have no verdict.
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
        """Full name of each rule by its name in ``report.rules``, the headline's rule first."""
        return pooling.rule_names(self.settings)

    @property
    def rule(self) -> str:
        """Name of the headline's rule in ``report.rules``."""
        return next(iter(self.rules))

    @property
    def pooling_rule(self) -> Rule:
        """The headline's rule."""
        return rules.load(self.rule, self.settings.threshold)

    @property
    def margins(self) -> npt.NDArray[np.float64]:
        """Score of the headline's rule minus its threshold for each row of ``videos``; NaN where UNDETERMINED.

        A rule without a fixed threshold is taken to have one midway between the highest score with the verdict REAL
        and the lowest with FAKE; NaN throughout where only one verdict occurs.
        """
        score: npt.NDArray[np.float64] = self.videos[f"{self.rule}_p"].to_numpy(np.float64)
        limit = self.pooling_rule.limit
        if limit is not None:
            return score - limit
        fake = self.videos[f"{self.rule}_fake"].to_numpy(np.bool_)
        decided = ~np.isnan(score)
        highest_real, lowest_fake = score[decided & ~fake], score[decided & fake]
        if not len(highest_real) or not len(lowest_fake):
            return np.full(len(score), np.nan)
        between = float(highest_real.max() + lowest_fake.min()) / 2
        return score - between

    @property
    def labelled(self) -> pd.DataFrame:
        """Rows of ``videos`` with a label."""
        return self.videos[self.videos["label"].notna()]

    @property
    def headline_slice(self) -> str:
        """``split=test`` if the model was trained here and labelled videos are in its test split, else ``all``."""
        test = self.labelled["split"] == "test"
        return "split=test" if self.model.training_set and test.any() else "all"

    @property
    def headline_videos(self) -> pd.DataFrame:
        """Labelled videos of the headline's slice."""
        labelled = self.labelled
        return labelled[labelled["split"] == "test"] if self.headline_slice == "split=test" else labelled

    @property
    def headline_decided(self) -> pd.DataFrame:
        """Labelled videos of the headline's slice that are not UNDETERMINED."""
        videos = self.headline_videos
        return videos[videos["reason"].isna()]

    @property
    def headline_scores(self) -> Scores:
        """Of ``headline_decided``: scores, float64 [n]; whether the label and the verdict are FAKE, bool [n] each."""
        decided = self.headline_decided
        return (
            decided[f"{self.rule}_p"].to_numpy(np.float64),
            (decided["label"] == "FAKE").to_numpy(np.bool_),
            decided[f"{self.rule}_fake"].to_numpy(np.bool_),
        )

    @property
    def has_seen_videos(self) -> bool:
        """Whether the headline's slice holds videos that the model was trained on or selected by."""
        seen = self.headline_videos["split"].isin(["train", "validation"])
        return bool(self.model.training_set) and bool(seen.any())

    @property
    def reasons(self) -> dict[str, int]:
        """Number of UNDETERMINED videos by reason, most frequent first."""
        counted = self.videos["reason"].value_counts()
        ordered = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
        return {str(reason): int(count) for reason, count in ordered}

    @property
    def video_bins(self) -> dict[str, npt.NDArray[np.int64]]:
        """Number of videos with a verdict in each bin of the headline rule's score, as ``face_bins``."""
        decided = self.videos[self.videos["reason"].isna()]
        score = decided[f"{self.rule}_p"].to_numpy(np.float64)
        number = np.minimum((score * SCORE_BINS).astype(int), SCORE_BINS - 1)
        label = decided["label"].fillna("unlabelled").to_numpy()
        return {name: np.bincount(number[label == name], minlength=SCORE_BINS) for name in self.face_bins}

    @property
    def face_counts(self) -> FaceCounts:
        """What became of the faces in the table."""
        videos, changed = self.videos, self.videos["reason"] == "CHANGED"
        current, undetermined = videos[~changed], videos["reason"].notna()
        return FaceCounts(
            found=int(videos["face_rows"].sum()),
            changed=int(videos.loc[changed, "face_rows"].sum()),
            static=int((current["face_rows"] - current["faces_moving"]).sum()),
            poor=int((current["faces_moving"] - current["faces_used"]).sum()),
            unscored=int((current["faces_used"] - current["faces_scored"]).sum()),
            undetermined=int(current.loc[undetermined, "faces_scored"].sum()),
        )

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
        return self._by_key[full_name, level, slice_name or self.headline_slice, name]

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
