"""Sections about scores, verdicts, checks of the tables, and what a night may do."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from dflib.config.faces import Quality
from dflib.config.section import Fraction, Names, Positive, Section, Seed, Since, Uri
from dflib.parts import catalog


class ScoreConfig(Section):
    """Which model scores the faces, and how."""

    model: str
    """model_id, an alias such as ``champion``, or ``aliased`` for all models that have an alias."""
    batch_size: Positive
    """Number of faces that pass through the model at once."""
    since: Since
    """Only faces of videos whose row in ``videos`` was written since then, a date or time (UTC); null: all."""
    extractor: str | None
    """Only faces of this extractor; null: of all."""


def _distinct_rules(rules: tuple[str, ...]) -> tuple[str, ...]:
    """Returns ``rules`` when there is at least one, all are in the catalog, and none is repeated."""
    if not rules:
        raise ValueError(f"no pooling rule; list one or more of {', '.join(catalog.RULES.names)}")
    seen: dict[tuple[str, str], str] = {}
    for rule in rules:
        parsed = catalog.RULES.split(rule)
        if parsed in seen:
            raise ValueError(f"{seen[parsed]!r} and {rule!r} are the same pooling rule; remove one of them")
        seen[parsed] = rule
    return rules


class ReportConfig(Section):
    """How face scores become verdicts, and how the verdicts are measured."""

    model: str
    """Which models are reported: a model_id, an alias, ``aliased``, or ``all`` models with predictions."""
    extractor: str | None
    """Only on faces of this extractor; null: of all."""
    rules: Annotated[Names, AfterValidator(_distinct_rules)]
    """Pooling rules of the catalog with their arguments, such as ``share:0.5``. The first one makes the headline."""
    threshold: Fraction
    """A face or video is FAKE when its score is above this; a score equal to it is REAL."""
    exclude_static: bool
    """Whether faces marked static (portraits on a wall) are left out."""
    quality: Quality
    """Faces below these limits are left out, as if they had not been found."""
    min_faces: Positive
    """A video with fewer usable faces is UNDETERMINED."""
    bootstrap: Annotated[int, Field(ge=100)]
    """Number of resamples of the source groups from which each interval is computed."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Nominal coverage of the intervals."""
    seed: Seed
    """Seed of the resamples."""
    worst: Positive
    """Largest number of misclassified videos shown on the page."""


def _check_checks(checks: tuple[str, ...]) -> tuple[str, ...]:
    for text in checks:
        catalog.CHECKS.check(text)
    return checks


Checks = Annotated[Names, AfterValidator(_check_checks)]


class ChecksConfig(Section):
    """What must be true of the tables: data checks of the catalog with their bounds, such as ``faceless_share:0.5``."""

    fail: Checks
    """Checks that hold new and changed verdicts of the champion when they fail, or can't be measured."""
    warn: Checks
    """Checks that only ask for attention."""

    @model_validator(mode="after")
    def _agrees(self) -> "ChecksConfig":
        names = [*self.fail, *self.warn]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)}: listed twice; list each check once, in fail or in warn")
        return self


class NightlyConfig(Section):
    """What a night may do, and when new verdicts of the champion become current."""

    move: Fraction
    """A score that moved by more than this is listed in ``changes``, also when the verdict is the same."""
    max_flips: Annotated[float, Field(ge=0)]
    """Largest number of verdicts that may change, among the videos that have a current one: a share below 1, a number
    from 1 on. If more would change, the new verdicts are held until ``release``."""
    max_videos: Positive | None
    """Videos that one night extracts; the next night goes on. null: all."""
    max_minutes: Annotated[float, Field(gt=0)] | None
    """Minutes after which a night begins no further wave of videos; the next night goes on. null: no limit."""
    summary: Uri | None
    """File for the summary of a night as JSON; null: only in the run record."""


class ReleaseConfig(Section):
    """What ``release`` does; set by its arguments."""

    reason: str | None
    """Why, for the table ``publications``."""


class ExportConfig(Section):
    """What is exported, in which format, and where to."""

    table: str
    """Name of a table, ``training_sets/<set_id>``, or ``submission`` for the challenge's submission.csv."""
    version: Annotated[int, Field(ge=0)] | None
    """Version of the table; null: the newest."""
    format: Literal["parquet", "csv"]
    """File format; csv leaves binary columns out, writes lists and maps as JSON, and puts an apostrophe before text
    that a spreadsheet would run as a formula."""
    to: Uri | None
    """A folder, or a name that ends in .csv or .parquet; null: ``export`` below ``reports.root``."""
    model: str
    """submission: a model_id or an alias."""
    extractor: str | None
    """submission: the extractor of the faces; null: the only one with verdicts of the model."""
    rule: str | None
    """submission: full name of a pooling rule, or the part before its parenthesis; null: the first of
    ``report.rules``."""
