"""What a reader must know of a report before its figures, and how far the figures can be trusted."""

import math

from dflib.reporting.findings import Findings

FEW_GROUPS = 20
"""With fewer source groups than this, bootstrap intervals are too narrow to be relied on, so the page begins with a
notice."""
FEW_OF_A_CLASS = 10
"""So it does with fewer videos than this of either class."""


def notices(findings: Findings) -> list[str]:
    """What a reader must know before any figure; empty when there is nothing of that kind."""
    found = []
    if not findings.rows:
        found.append("No video has a label, so there are verdicts but no metrics.")
    else:
        found += _small_set(findings)
        if findings.has_seen_videos:
            found.append(
                "The figures include videos that the model was trained on, because no video of the test split has a "
                "label. They show how well the model remembers those, not how well it judges unseen videos."
            )
    if findings.not_extracted:
        found.append(
            f"{findings.not_extracted:,} videos are not extracted yet and are not in this report; run extract, score "
            "and report."
        )
    return found


def _small_set(findings: Findings) -> list[str]:
    decided = findings.headline_decided
    groups = int(decided["source_group"].nunique())
    counts = {label: int((decided["label"] == label).sum()) for label in ("FAKE", "REAL")}
    if groups >= FEW_GROUPS and min(counts.values()) >= FEW_OF_A_CLASS:
        return []
    classes = ", ".join(f"{count:,} {label}" for label, count in counts.items())
    notice = (
        f"Small set: the figures rest on {len(decided):,} labelled {_plural(len(decided), 'video')} with "
        f"a verdict ({classes}) from {groups:,} source {_plural(groups, 'group')}."
    )
    if len(decided):
        notice += f" A single video changes the accuracy by {100 / len(decided):.2g} percentage points."
    return [f"{notice} They are examples rather than an estimate of how the model does on other videos."]


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def trust(findings: Findings) -> list[str]:
    """How far the headline can be trusted, in sentences; for findings with metrics."""
    groups = findings.headline_videos["source_group"].nunique()
    auc, accuracy, baseline = (findings.metric(name) for name in ("auc", "accuracy", "majority_baseline"))
    sentences = []
    if findings.headline_slice == "split=test":
        sentences.append(
            "The figures are those of the test videos alone. Neither their originals nor other fakes of those were in "
            "training. This separates clips, not people: one person may appear in clips of both sides."
        )
    elif findings.has_seen_videos:
        sentences.append("Videos of the training and validation splits are included, so the figures are too high.")
    elif findings.model.training_set:
        sentences.append("None of the labelled videos was in the training of this model.")
    else:
        sentences.append(
            "The weights were trained elsewhere. Whether they have seen these videos is not known here, so all "
            "labelled videos are included."
        )
    sentences.append(
        f"Intervals hold {findings.settings.confidence:.0%} of {findings.settings.bootstrap:,} bootstrap resamples of "
        f"the {groups:,} source groups (an original with its fakes), because clips of one source share their errors. "
        "They do not cover the differences between this data set and others."
    )
    if math.isnan(auc.value):
        sentences.append("All labelled videos with a verdict are of one class, so separation can't be measured.")
    elif auc.low <= 0.5 <= auc.high:
        sentences.append(
            f"The interval of the AUC ({auc.low:.3f} to {auc.high:.3f}) includes .5, so the model may be no better "
            "than chance."
        )
    if not math.isnan(accuracy.value) and accuracy.value <= baseline.value:
        sentences.append(
            f"The accuracy ({accuracy.value:.3f}) is not above the majority baseline ({baseline.value:.3f}), that of "
            "calling every video by the more frequent class."
        )
    if accuracy.undetermined:
        sentences.append(
            f"UNDETERMINED labelled videos of this slice: {accuracy.undetermined:,}. All figures leave them out, "
            "except the accuracy that counts them as wrong."
        )
    return sentences
