"""Which verdicts become current: gate, release and going back, and runs that were killed in between."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from dflib.config import NightlyConfig
from dflib.errors import TableError
from dflib.scoring import publish, verdicts
from dflib.scoring.publish import Published, Role
from dflib.tables.schemas import (
    CHANGES,
    EXTRACTIONS,
    FACES,
    HELD_VERDICTS,
    PREDICTIONS,
    PUBLICATIONS,
    VERDICTS,
    VIDEOS,
    Table,
)
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, GATE, SETTINGS, ScoreRows

pytestmark = pytest.mark.spark
WRITTEN = (VERDICTS, HELD_VERDICTS, PUBLICATIONS, CHANGES)
VIDEO_COUNT = 20
OPEN = GATE.model_copy(update={"max_flips": 0.9})


def scored(model_id: str, fakes: int, more: int = 0, videos: int = VIDEO_COUNT) -> ScoreRows:
    """Videos of one face each: the first ``fakes`` are FAKE, the others REAL; ``more`` videos without a face."""
    rows = ScoreRows(model_id)
    for number in range(videos):
        rows.video(f"t/v{number:02}", [[0.9 if number < fakes else 0.2]], label="REAL")
    for number in range(more):
        rows.video(f"t/w{number}", [[]])
    return rows


def published(
    tables: Tables,
    rows: ScoreRows,
    gate: NightlyConfig = GATE,
    run_id: str = "run",
    role: Role = Role.LEADING,
    extractor: str = EXTRACTOR,
    failed_checks: tuple[str, ...] = (),
) -> Published:
    for row in (*rows.predictions, *rows.faces, *rows.extractions):
        row["extractor"] = extractor
    judging = verdicts.judge(
        tables,
        *(PREDICTIONS.frame(tables.spark, rows.predictions), FACES.frame(tables.spark, rows.faces)),
        *(VIDEOS.frame(tables.spark, rows.videos), EXTRACTIONS.frame(tables.spark, rows.extractions)),
        tables.spark.createDataFrame(pa.schema([("video_id", pa.string()), ("split", pa.string())]).empty_table()),
        *(SETTINGS, rows.model_id, extractor),
    )
    with judging as judged:
        return publish.publish(tables, judged, gate, run_id, failed_checks, role)


def read(tables: Tables, table: Table) -> pd.DataFrame:
    """A table as delta-rs reads it, without times and runs, in order."""
    try:
        found = DeltaTable(tables.uri(table).removeprefix("file://")).to_pandas()
    except TableNotFoundError:
        return pd.DataFrame()
    times = [name for name in found.columns if name.endswith("_at") or name in ("run_id", "current_since")]
    kept = found.drop(columns=times)
    return kept.sort_values(list(kept.columns[:4]), ignore_index=True) if table is not PUBLICATIONS else found


def now(tables: Tables) -> tuple[str, int]:
    """Model and number of FAKE among the current verdicts; asserts that each video has one."""
    found = publish.current_verdicts(tables)
    assert found["video_id"].is_unique
    (model_id,) = set(found["model_id"])
    return model_id, int((found["verdict"] == "FAKE").sum())


@pytest.mark.cluster  # make test has no time for it
def test_publish_holds_a_champion_that_flips_too_many_until_release(tables: Tables) -> None:
    first = published(tables, scored("m", fakes=4))
    assert first == Published(written=3 * VIDEO_COUNT, new=VIDEO_COUNT)
    assert now(tables) == ("m", 4)
    assert read(tables, CHANGES).empty and read(tables, HELD_VERDICTS).empty
    versions = tables.versions()
    assert published(tables, scored("m", fakes=4)) == Published(0, 0, VIDEO_COUNT)
    assert tables.versions() == versions

    held = published(tables, scored("n", fakes=15, more=2))
    assert held == Published(0, 3 * (VIDEO_COUNT + 2), VIDEO_COUNT, 11, (("NEW_MODEL", 11),), new=2)
    assert now(tables) == ("m", 4) and set(read(tables, VERDICTS)["model_id"]) == {"m"}
    rows = read(tables, HELD_VERDICTS)
    assert (len(rows), set(rows["model_id"])) == (held.held, {"n"})
    assert rows.groupby("video_id")["headline"].sum().eq(1).all()
    assert set(rows.loc[rows["headline"], "rule"]) == {"mean(t=0.5,static=out,min_faces=1)"}
    found = read(tables, CHANGES)
    assert found["held"].all() and found["flipped"].all()
    assert list(found["video_id"]) == [f"t/v{number:02}" for number in range(4, 15)]
    versions = tables.versions()
    assert published(tables, scored("n", fakes=15, more=2), run_id="another") == held
    assert tables.versions() == versions, "a hold that is found again writes nothing"

    assert publish.release(tables, "ana@m", "looked at them", dry_run=True).videos == VIDEO_COUNT + 2
    assert tables.versions() == versions
    done = publish.release(tables, "ana@m", "looked at them")
    assert (done.pairs, done.rows, done.videos) == ((("n", EXTRACTOR),), held.held, VIDEO_COUNT + 2)
    assert now(tables) == ("n", 15)
    assert read(tables, HELD_VERDICTS).empty and not read(tables, CHANGES)["held"].any()
    pointers = read(tables, PUBLICATIONS).sort_values("published_at")
    assert list(pointers["model_id"]) == ["m", "n"]
    assert list(pointers["published_by"]) == ["run", "ana@m"] and pointers["reason"].iloc[-1] == "looked at them"
    with pytest.raises(TableError, match="nothing is held"):
        publish.release(tables, "ana@m", None)

    versions = tables.versions()
    assert published(tables, scored("n", fakes=15, more=2)).held == 0
    assert tables.versions() == versions
    back = published(tables, scored("m", fakes=4), OPEN)
    assert (back.written, back.held, back.flipped) == (0, 0, 11)
    current = publish.current_verdicts(tables).set_index("video_id")
    assert set(current.loc[[f"t/v{number:02}" for number in range(VIDEO_COUNT)], "model_id"]) == {"m"}


@pytest.mark.cluster  # make test has no time for it
def test_publish_holds_changes_of_one_model_too_and_drops_what_is_no_longer_held(tables: Tables) -> None:
    published(tables, scored("m", fakes=4))
    before = read(tables, VERDICTS)
    worse = scored("m", fakes=12, more=1)
    assert published(tables, worse).flipped == 8
    pd.testing.assert_frame_equal(read(tables, VERDICTS), before)
    assert len(read(tables, HELD_VERDICTS)) == 3 * (VIDEO_COUNT + 1)
    # Of another champion, and of a video that is gone, nothing stays held.
    published(tables, scored("o", fakes=19))
    assert set(read(tables, CHANGES)["model_id"]) == {"o"}
    assert set(read(tables, HELD_VERDICTS)["model_id"]) == {"o"} and "t/w0" not in set(
        read(tables, HELD_VERDICTS)["video_id"]
    )
    # The next run finds fewer videos, and one flip, which is allowed.
    result = published(tables, scored("m", fakes=5))
    assert (result.held, result.flipped, now(tables)) == (0, 1, ("m", 5))
    assert read(tables, HELD_VERDICTS).empty
    assert list(read(tables, CHANGES)["video_id"]) == ["t/v04"] and not read(tables, CHANGES)["held"].any()


def test_publish_holds_what_is_new_when_a_check_failed(tables: Tables) -> None:
    assert published(tables, scored("m", fakes=4), failed_checks=("orphans",)).held == 3 * VIDEO_COUNT
    assert read(tables, VERDICTS).empty and publish.current_verdicts(tables).empty
    assert published(tables, scored("m", fakes=4)).written == 3 * VIDEO_COUNT
    # Nothing is new, so there is nothing to hold; then one video is.
    assert published(tables, scored("m", fakes=4), failed_checks=("orphans",)) == Published(0, 0, VIDEO_COUNT)
    # A score that moved by less than nightly.move is no change, and still another verdict than the current one.
    moved = scored("m", fakes=4)
    moved.predictions[0]["p_fake"] += 0.01
    result = published(tables, moved, failed_checks=("orphans",))
    assert (result.held, result.new, result.flipped, result.causes) == (3 * VIDEO_COUNT, 0, 0, ())
    result = published(tables, scored("m", fakes=4, videos=VIDEO_COUNT + 1), failed_checks=("orphans",))
    assert (result.held, result.new, result.flipped) == (3 * (VIDEO_COUNT + 1), 1, 0)
    assert len(publish.current_verdicts(tables)) == VIDEO_COUNT


@pytest.mark.cluster  # make test has no time for it
def test_one_extractor_leads_and_the_others_count_where_it_has_nothing(tables: Tables) -> None:
    old, new = "z-old", "a-new"  # not in the order of their names
    published(tables, scored("m", fakes=4), extractor=old)
    # New settings: half of the videos are extracted again, and one of them is another verdict.
    again = scored("m", fakes=5, videos=10)
    assert published(tables, again, OPEN, extractor=new).causes == (("NEW_EXTRACTOR", 1),)
    follows = published(tables, scored("m", fakes=4), role=Role.FOLLOWING, extractor=old)
    assert follows == Published(0, 0, 10), "what the new extractor replaced is not compared with the old one"
    assert now(tables) == ("m", 5)
    by_extractor = publish.current_verdicts(tables).groupby("extractor").size()
    assert by_extractor.to_dict() == {new: 10, old: 10}
    # A new champion takes over on both; the newer publication is that of the extractor that does not lead.
    published(tables, scored("n", fakes=6, videos=10), OPEN, extractor=new)
    published(tables, scored("n", fakes=12), OPEN, role=Role.FOLLOWING, extractor=old)
    assert now(tables) == ("n", 6 + 2)
    assert publish.current_verdicts(tables).groupby("extractor").size().to_dict() == {new: 10, old: 10}
    # Back to the earlier settings.
    assert published(tables, scored("n", fakes=12), OPEN, extractor=old).flipped == 4
    assert now(tables) == ("n", 12)
    assert set(publish.current_verdicts(tables)["extractor"]) == {old}


def test_verdicts_of_crops_beside_videos_are_compared_where_they_count(tables: Tables) -> None:
    videos, crops = "even4-mtcnn-1", "crops-1"
    published(tables, scored("m", fakes=4), extractor=crops)
    # The videos are extracted later and judge as fake what the crops had as real; that is allowed here.
    assert published(tables, scored("m", fakes=16), OPEN, extractor=videos).flipped == 12
    before = publish.current_verdicts(tables)
    # Each night judges both again.
    assert published(tables, scored("m", fakes=4), extractor=crops) == Published(0, 0, 0)
    assert published(tables, scored("m", fakes=16), extractor=videos) == Published(0, 0, VIDEO_COUNT)
    pd.testing.assert_frame_equal(publish.current_verdicts(tables), before)
    assert read(tables, CHANGES)["extractor"].eq(videos).all()


@pytest.mark.cluster  # make test has no time for it
def test_verdicts_of_another_model_are_held_where_they_are_current(tables: Tables) -> None:
    published(tables, scored("m", fakes=4))
    assert published(tables, scored("n", fakes=19)).held and now(tables) == ("m", 4)
    # While the new champion is held, the scores of the earlier one change.
    changed = published(tables, scored("m", fakes=12), role=Role.OTHER)
    assert (changed.held, changed.flipped, now(tables)) == (3 * VIDEO_COUNT, 8, ("m", 4))
    assert published(tables, scored("k", fakes=20), role=Role.OTHER) == Published(3 * VIDEO_COUNT)
    assert set(read(tables, HELD_VERDICTS)["model_id"]) == {"m", "n"}
    publish.release(tables, "ana", None)
    assert now(tables) == ("n", 19)
    pointers = read(tables, PUBLICATIONS).sort_values("published_at")
    assert list(pointers["model_id"]) == ["m", "n"], "release makes no publication of verdicts that follow"


# Its nights are killed at each write, too: tests/jobs/test_killed_nights.py.
@pytest.mark.cluster
def test_publish_repeats_what_a_killed_run_began(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four parts; each is killed after each of its commits, repeated, and compared with ones that were not."""

    def scene(own: Tables) -> list[Callable[[], Any]]:
        return [
            lambda: published(own, scored("m", fakes=4)),
            lambda: published(own, scored("m", fakes=5), OPEN),
            lambda: published(own, scored("n", fakes=15, more=1)),
            lambda: publish.release(own, "ana", None),
        ]

    commit = Tables._committing

    def survives(part: Callable[[], Any], commits: int) -> bool:
        """Runs a part that is killed before its next commit after ``commits``."""

        def dying(self: Tables, *arguments: Any) -> Any:
            nonlocal commits
            commits -= 1
            if commits < 0:
                raise KeyboardInterrupt
            return commit(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Tables, "_committing", dying)
            try:
                part()
            except KeyboardInterrupt:
                return False
            except TableError:  # nothing is held: the release had made its last commit
                return True
        return True

    whole = Tables(tables.spark, f"{tables.root}/whole", tables.storage)
    for part in scene(whole):
        part()
    killed = Tables(tables.spark, f"{tables.root}/killed", tables.storage)
    kills = 0
    for part in scene(killed):
        while not survives(part, commits=1):
            kills += 1
    assert kills >= 8
    for table in WRITTEN:
        expected, found = read(whole, table), read(killed, table)
        if table is PUBLICATIONS:
            expected, found = (each.sort_values("published_at")[["model_id", "rule"]] for each in (expected, found))
        pd.testing.assert_frame_equal(expected.reset_index(drop=True), found.reset_index(drop=True))
