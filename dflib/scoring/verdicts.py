"""Verdicts: pooled scores as rows of VERDICTS, checked before they are written.

The rules that make them are the modules of :mod:`dflib.scoring.rules`; :mod:`dflib.scoring.pooling` applies the rules.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib import config
from dflib.errors import CountError
from dflib.scoring import pooling
from dflib.tables.schemas import VERDICTS
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Judged:
    """The verdicts of one model on the faces of one extractor, not written yet.

    Attributes:
        model_id, extractor: name of the model and of the extractor.
        rule: full name of the first pooling rule, which makes the headline.
        pooled: result of :func:`dflib.scoring.pooling.pool`, staged: cheap to read again while the context is open.
        videos: the same on the driver, as :func:`to_driver` returns it.
        rules: full names of all rules by their text in the settings.
    """

    model_id: str
    extractor: str
    rule: str
    pooled: DataFrame
    videos: pd.DataFrame
    rules: dict[str, str]

    @property
    def rows(self) -> DataFrame:
        """As in VERDICTS, for all rules."""
        return verdict_rows(self.pooled, self.model_id, self.extractor)

    def of_rule(self, rule: str) -> pd.DataFrame:
        """The verdicts by a rule on the driver: columns of VERDICTS without counts and times."""
        text = next(text for text, name in self.rules.items() if name == rule)
        p_fake, fake = self.videos[f"{text}_p"], self.videos[f"{text}_fake"]
        verdict = np.where(p_fake.isna(), "UNDETERMINED", np.where(fake, "FAKE", "REAL"))
        kept = self.videos[["video_id", "label", "reason", "fingerprint", "extraction_run"]]
        return kept.assign(extractor=self.extractor, model_id=self.model_id, rule=rule, verdict=verdict, p_fake=p_fake)


@contextlib.contextmanager
def judge(
    tables: Tables,
    predictions: DataFrame,
    faces: DataFrame,
    videos: DataFrame,
    extractions: DataFrame,
    splits: DataFrame,
    settings: config.ReportConfig,
    model_id: str,
    extractor: str,
) -> Iterator[Judged]:
    """Pools the scores of a model and checks the counts; :mod:`dflib.scoring.publish` writes the verdicts.

    Args:
        tables: where pooled rows are staged.
        predictions: rows of the model and extractor, as in PREDICTIONS.
        faces: rows of the extractor, as in FACES.
        videos: as in VIDEOS.
        extractions: rows of the extractor, as in EXTRACTIONS: the videos that get a verdict.
        splits: ``video_id`` and ``split``, one row per video.
        settings: threshold, rules and filters.
        model_id: name of the model, for the rows.
        extractor: name of the extractor, for the rows.

    Raises:
        CountError: ledger and faces disagree, or a score is outside 0 to 1.
    """
    rules = pooling.rule_names(settings)
    rows = pooling.pool(predictions, faces, videos, extractions, splits, settings)
    with tables.stage(rows, "pooled") as pooled:
        on_driver = to_driver(pooled, settings)
        check(on_driver, extractions.count())
        yield Judged(model_id, extractor, next(iter(rules.values())), pooled, on_driver, rules)


def verdict_rows(pooled: DataFrame, model_id: str, extractor: str) -> DataFrame:
    """The rows of :func:`dflib.scoring.pooling.pool` as rows of VERDICTS, one per video and rule."""
    verdict = F.when(F.col("fake"), "FAKE").when(~F.col("fake"), "REAL").otherwise("UNDETERMINED")
    return (
        pooled.select("*", F.inline("rules"))
        .withColumns(
            {
                "model_id": F.lit(model_id),
                "extractor": F.lit(extractor),
                "verdict": verdict,
                "judged_at": F.current_timestamp(),
            }
        )
        .select(VERDICTS.schema.names)
    )


def to_driver(pooled: DataFrame, settings: config.ReportConfig) -> pd.DataFrame:
    """The rows of :func:`dflib.scoring.pooling.pool` on the driver, sorted by video_id, without the faces.

    Returns:
        All columns but ``frames`` and ``rules``; in place of those, for each rule as written in the settings,
        ``<rule>_p`` (float64, NaN when UNDETERMINED) and ``<rule>_fake`` (bool, false when UNDETERMINED).
    """
    plain = [name for name in pooled.columns if name not in ("frames", "rules")]
    of_rules = []
    for index, rule in enumerate(settings.rules):
        one = F.col("rules")[index]
        of_rules += [one["p_fake"].alias(f"{rule}_p"), F.coalesce(one["fake"], F.lit(False)).alias(f"{rule}_fake")]
    frame: pd.DataFrame = pooled.select(*plain, *of_rules).toArrow().to_pandas()
    return frame.sort_values("video_id", ignore_index=True)


def check(videos: pd.DataFrame, ledger_rows: int) -> None:
    """Checks that the counts of the pooled videos agree with the ledger and that all scores are valid.

    Args:
        videos: as :func:`to_driver` returns it.
        ledger_rows: number of rows in ``extractions`` of the extractor.

    Raises:
        CountError: a count disagrees, or a score is outside 0 to 1; the message names the first video.
    """
    if len(videos) != ledger_rows:
        raise CountError(
            f"{len(videos)} videos were pooled, but the extraction ledger has {ledger_rows}; look for a video_id that "
            "occurs twice in videos or in the ledger"
        )
    for wrong, problem in (
        (videos["source_group"].isna(), "are in extractions but not in videos; run ingest on the source again"),
        (videos["face_rows"] != videos["ledger_faces"], "have more or fewer rows in faces than the ledger counts"),
        (videos["bad_scores"] > 0, "have scores outside 0 to 1; score them again with a sound model"),
    ):
        if wrong.any():
            raise CountError(
                f"{int(wrong.sum())} videos {problem}; the first is {videos.loc[wrong, 'video_id'].iloc[0]}"
            )
