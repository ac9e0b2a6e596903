"""Views for frequent questions, each column with a comment.

They count as report does: a video whose file has changed since its extraction is UNDETERMINED (see
:mod:`dflib.tables.current`), accuracies leave UNDETERMINED videos out unless the name ends in ``_all``, and videos
without a label are in none.  An undefined number is null.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dflib.tables import current
from dflib.tables.schemas import EXTRACTIONS, MODELS, PUBLICATIONS, VERDICTS, VIDEOS, Table
from dflib.tables.sql import quoted


@dataclass(frozen=True)
class SqlView:
    """A view.

    Attributes:
        name: its name in the database.
        comment: what a row is.
        tables: tables that must exist.
        columns: comments by column, in their order.
        query: its SELECT; ``{db}`` stands for the database, ``{extractions}`` for that table under its present column
            names.
    """

    name: str
    comment: str
    tables: tuple[Table, ...]
    columns: dict[str, str]
    query: str

    def statement(self, database: str, replace: bool, present: Mapping[str, Collection[str]] | None = None) -> str:
        """The SQL that creates the view.

        Args:
            database: holds the tables by name, and the view.
            replace: replaces the view where it exists; otherwise an existing one stays.
            present: the columns that a stored table has, by its name; a table that is not listed has those of its
                schema.
        """
        columns = ", ".join(f"`{name}` COMMENT {quoted(comment)}" for name, comment in self.columns.items())
        extractions = _relation(EXTRACTIONS, database, (present or {}).get(EXTRACTIONS.name, ()))
        return (
            f"CREATE {'OR REPLACE VIEW' if replace else 'VIEW IF NOT EXISTS'} {database}.{self.name} ({columns}) "
            f"COMMENT {quoted(self.comment)} AS {self.query.format(db=database, extractions=extractions)}"
        )


def _relation(table: Table, database: str, present: Collection[str]) -> str:
    """A table in FROM.  Columns stored under earlier names get their present ones, also when both are there."""
    name = f"{database}.{table.name}"
    former = {new: old for new, old in table.former.items() if old in present}
    if not former:
        return name
    columns = [
        (f"coalesce({column}, {former[column]})" if column in present else former[column]) + f" AS {column}"
        if column in former
        else column
        for column in table.schema.names
        if column in former or column in present
    ]
    return f"(SELECT {', '.join(columns)} FROM {name})"


def _comments(table: Table, *names: str) -> dict[str, str]:
    return {name: table.comments[name] for name in names}


_OF = _comments(VERDICTS, "model_id", "extractor", "rule")

_COUNTS = {
    "videos": "labelled videos: the sum of the five counts below",
    "true_fake": "fakes called FAKE (TP)",
    "false_fake": "real videos called FAKE (FP)",
    "true_real": "real videos called REAL (TN)",
    "false_real": "fakes called REAL (FN)",
    "undetermined": "UNDETERMINED videos",
    "seen": "how many of videos the model was trained on or selected by (splits train and validation)",
    "unlabelled": "videos without a label, in no other column",
    "accuracy": "share of right verdicts among the decided videos",
    "accuracy_all": "share of right verdicts among all videos; UNDETERMINED counts as wrong",
    "accuracy_real": "share of right verdicts among the decided real videos",
    "accuracy_fake": "share of right verdicts among the decided fakes",
    "balanced_accuracy": "mean of accuracy_real and accuracy_fake",
    "majority_baseline": "accuracy of always giving the more frequent label",
    "precision": "share of fakes among the videos called FAKE",
}

_COUNTING = """
    count(label) AS videos,
    count_if(correct AND label = 'FAKE') AS true_fake,
    count_if(NOT correct AND label = 'REAL') AS false_fake,
    count_if(correct AND label = 'REAL') AS true_real,
    count_if(NOT correct AND label = 'FAKE') AS false_real,
    count_if(label IS NOT NULL AND verdict = 'UNDETERMINED') AS undetermined,
    count_if(label IS NOT NULL AND seen) AS seen,
    count_if(label IS NULL) AS unlabelled"""

_RATIOS = """
    try_divide(true_fake + true_real, videos - undetermined) AS accuracy,
    try_divide(true_fake + true_real, videos) AS accuracy_all,
    try_divide(true_real, true_real + false_fake) AS accuracy_real,
    try_divide(true_fake, true_fake + false_real) AS accuracy_fake,
    (try_divide(true_real, true_real + false_fake) + try_divide(true_fake, true_fake + false_real)) / 2
      AS balanced_accuracy,
    try_divide(greatest(true_fake + false_real, true_real + false_fake), videos - undetermined) AS majority_baseline,
    try_divide(true_fake, true_fake + false_fake) AS `precision`"""

# A ledger row is missing while a changed video waits to be extracted again.  Verdicts of older versions name neither
# their bytes nor their run, so there is nothing to compare.
_CHANGED = f"""CASE WHEN e.video_id IS NULL THEN t.extraction_run IS NOT NULL ELSE
          {current.changed("e", "v")} OR (t.fingerprint IS NOT NULL AND NOT (t.fingerprint <=> e.fingerprint))
        END"""

JUDGED = SqlView(
    "judged",
    "Verdicts as a report would show them now, with columns of the video; the other views count this one",
    (VERDICTS, EXTRACTIONS, VIDEOS, MODELS),
    {
        **_comments(VERDICTS, "video_id"),
        **_comments(VIDEOS, "dataset", "chunk", "source_group"),
        **_comments(VERDICTS, "extractor", "model_id", "rule", "label", "split"),
        "seen": "whether the model was trained on the video or selected by it",
        **_comments(VERDICTS, "p_fake", "verdict"),
        "reason": "why the video is UNDETERMINED; CHANGED: its file has changed since it was extracted",
        "correct": "whether the verdict equals the label; null: UNDETERMINED or no label",
        "error": "distance of p_fake from the label, 0 (right) to 1 (wrong); null: UNDETERMINED or no label",
        **_comments(VERDICTS, "faces_used", "frames_used", "judged_at"),
    },
    f"""
  SELECT video_id, dataset, chunk, source_group, extractor, model_id, rule, label, split, seen, p_fake, verdict,
    reason, CASE WHEN verdict <> 'UNDETERMINED' THEN verdict = label END AS correct,
    abs(p_fake - CASE label WHEN 'FAKE' THEN 1 WHEN 'REAL' THEN 0 END) AS error,
    faces_used, frames_used, judged_at
  FROM (
    SELECT video_id, dataset, chunk, source_group, extractor, model_id, rule, label, split, seen, judged_at,
      CASE WHEN NOT changed THEN p_fake END AS p_fake,
      if(changed, 'UNDETERMINED', verdict) AS verdict,
      if(changed, 'CHANGED', reason) AS reason,
      if(changed, 0, faces_used) AS faces_used,
      if(changed, 0, frames_used) AS frames_used
    FROM (
      SELECT t.* EXCEPT (label), v.label, v.dataset, v.chunk, v.source_group, {_CHANGED} AS changed,
        m.training_set IS NOT NULL AND coalesce(t.split, '') IN ('train', 'validation') AS seen
      FROM {{db}}.verdicts t
      LEFT JOIN {{extractions}} e ON e.video_id = t.video_id AND e.extractor = t.extractor
      LEFT JOIN {{db}}.videos v ON v.video_id = t.video_id
      LEFT JOIN {{db}}.models m ON m.model_id = t.model_id
    )
  )""",
)

ACCURACY_BY_CHUNK = SqlView(
    "accuracy_by_chunk",
    "Counts and accuracies of each model by chunk",
    JUDGED.tables,
    {**_OF, **_comments(VIDEOS, "chunk"), **_COUNTS},
    f"""
  SELECT model_id, extractor, rule, chunk, videos, true_fake, false_fake, true_real, false_real, undetermined, seen,
    unlabelled, {_RATIOS}
  FROM (
    SELECT model_id, extractor, rule, chunk, {_COUNTING}
    FROM {{db}}.judged GROUP BY model_id, extractor, rule, chunk
  )""",
)

CONFUSION = SqlView(
    "confusion",
    "Counts and accuracies of each model by split",
    JUDGED.tables,
    {**_OF, "split": "split of the model's training set; none: in no split; all: all videos", **_COUNTS},
    f"""
  SELECT model_id, extractor, rule, split, videos, true_fake, false_fake, true_real, false_real, undetermined, seen,
    unlabelled, {_RATIOS}
  FROM (
    SELECT model_id, extractor, rule, of_split AS split, {_COUNTING}
    FROM (SELECT *, explode(array('all', coalesce(split, 'none'))) AS of_split FROM {{db}}.judged)
    GROUP BY model_id, extractor, rule, of_split
  )""",
)

MOST_WRONG = SqlView(
    "most_wrong",
    "Wrong verdicts, the largest error first",
    JUDGED.tables,
    {
        **_OF,
        "place": "rank by error within model, extractor and rule, from 1",
        **_comments(VERDICTS, "video_id"),
        **_comments(VIDEOS, "chunk"),
        **_comments(VERDICTS, "split", "label", "verdict", "p_fake"),
        "error": JUDGED.columns["error"],
        **_comments(VERDICTS, "faces_used"),
    },
    """
  SELECT model_id, extractor, rule,
    row_number() OVER (PARTITION BY model_id, extractor, rule ORDER BY error DESC, video_id) AS place,
    video_id, chunk, split, label, verdict, p_fake, error, faces_used
  FROM {db}.judged WHERE NOT correct
  ORDER BY model_id, extractor, rule, place""",
)

NEWEST_VERDICT = SqlView(
    "newest_verdict",
    "One row per video: its current verdict, which is that of the newest publication that has one; without those held",
    (*JUDGED.tables, PUBLICATIONS),
    JUDGED.columns,
    f"""
  SELECT {", ".join(JUDGED.columns)}
  FROM ({current.CURRENT_VERDICTS.format(verdicts="{db}.judged", publications="{db}.publications")})""",
)

MODEL_AGAINST_MODEL = SqlView(
    "model_against_model",
    "Each pair of models, or of extractors of one model, by the same rule on the videos that both decide",
    JUDGED.tables,
    {
        "model_a": "as in models",
        "extractor_a": "as in extractions",
        "model_b": "as in models",
        "extractor_b": "as in extractions",
        "rule": _OF["rule"],
        "slice": "all; or split=test: videos in the test split of both, the fair comparison",
        "videos": "labelled videos that both decide: the sum of the four counts below",
        "both_right": "videos that both judge right",
        "only_a_right": "videos that only a judges right",
        "only_b_right": "videos that only b judges right",
        "neither_right": "videos that neither judges right",
        "undetermined": "labelled videos that are UNDETERMINED for a or b",
        "accuracy_a": "accuracy of a on these videos",
        "accuracy_b": "accuracy of b on these videos",
        "mcnemar": (
            "McNemar's statistic with continuity correction, max(|only_a - only_b| - 1, 0)^2 / (only_a + only_b): "
            "above 3.84, the difference has p < .05 for independent videos"
        ),
    },
    """
  SELECT *, try_divide(both_right + only_a_right, videos) AS accuracy_a,
    try_divide(both_right + only_b_right, videos) AS accuracy_b,
    try_divide(
      power(greatest(abs(only_a_right - only_b_right) - 1, 0), 2), only_a_right + only_b_right
    ) AS mcnemar
  FROM (
    SELECT model_a, extractor_a, model_b, extractor_b, rule, slice, count_if(a IS NOT NULL AND b IS NOT NULL) AS videos,
      count_if(a AND b) AS both_right, count_if(a AND NOT b) AS only_a_right,
      count_if(b AND NOT a) AS only_b_right, count_if(NOT a AND NOT b) AS neither_right,
      count_if(a IS NULL OR b IS NULL) AS undetermined
    FROM (
      SELECT a.model_id AS model_a, a.extractor AS extractor_a, b.model_id AS model_b, b.extractor AS extractor_b,
        a.rule, a.correct AS a, b.correct AS b,
        explode(if(a.split = 'test' AND b.split = 'test', array('all', 'split=test'), array('all'))) AS slice
      FROM {db}.judged a JOIN {db}.judged b ON a.video_id = b.video_id AND a.rule = b.rule
        AND struct(a.model_id, a.extractor) < struct(b.model_id, b.extractor)
      WHERE a.label IS NOT NULL AND b.label IS NOT NULL
    )
    GROUP BY model_a, extractor_a, model_b, extractor_b, rule, slice
  )""",
)

QUARANTINE = SqlView(
    "quarantine",
    "Videos that could not be extracted, and why",
    (EXTRACTIONS,),
    EXTRACTIONS.comments,
    f"SELECT {', '.join(EXTRACTIONS.schema.names)} FROM {{extractions}} WHERE outcome = 'FAILED'",
)

VIEWS: dict[str, SqlView] = {
    view.name: view
    for view in (
        *(JUDGED, ACCURACY_BY_CHUNK, CONFUSION, MOST_WRONG, NEWEST_VERDICT, MODEL_AGAINST_MODEL),
        QUARANTINE,
    )
}
"""By name, in an order in which they can be created."""
