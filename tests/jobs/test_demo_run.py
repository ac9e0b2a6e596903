"""The whole job on the demo data set: what it finds is held against the truth file."""

from collections import Counter

import pytest

from tests.jobs.places import DemoRun

pytestmark = pytest.mark.e2e


def test_every_video_of_the_truth_is_in_the_tables(demo_run: DemoRun) -> None:
    videos = demo_run.table("videos").set_index("video_id")
    assert set(videos.index) == {video["video_id"] for video in demo_run.truth["videos"]}
    for video in demo_run.truth["videos"]:
        row = videos.loc[video["video_id"]]
        assert row["label"] == video["label"] or (video["label"] is None and row["label"] is None), video


def test_every_planted_defect_is_found_and_no_other(demo_run: DemoRun) -> None:
    planted = Counter((defect["video_id"], defect["code"]) for defect in demo_run.truth["defects"])
    ingested = demo_run.table("videos")
    found = Counter(
        (row.video_id, problem.partition(":")[0]) for row in ingested.itertuples() for problem in row.problems
    )
    failed = demo_run.table("extractions").query("outcome == 'FAILED'")
    found.update((row.video_id, row.reason) for row in failed.itertuples() if row.reason == "UNREADABLE")
    known = set(ingested["video_id"])
    nowhere = ingested[ingested["original"].notna() & ~ingested["original"].isin(known)]
    found.update((video_id, "ORIGINAL_NOWHERE") for video_id in nowhere["video_id"])
    assert found == planted


def test_the_summaries_name_the_defects(demo_run: DemoRun) -> None:
    for code in ("MISSING_FILE", "EMPTY_FILE", "NO_METADATA_ENTRY", "UNKNOWN_LABEL", "LABEL_CONFLICT"):
        assert code in demo_run.outputs["ingest"]
    for code in ("MISSING_FILE", "EMPTY_FILE", "UNREADABLE"):
        assert code in demo_run.outputs["extract"]


def test_no_video_is_lost(demo_run: DemoRun) -> None:
    videos = set(demo_run.table("videos")["video_id"])
    ledger = demo_run.table("extractions")
    assert set(ledger["video_id"]) == videos
    assert ledger["faces"].sum() == len(demo_run.table("faces")) == len(demo_run.table("predictions"))
    assert ledger["frames"].sum() == len(demo_run.table("frames"))
    verdicts = demo_run.table("verdicts")
    for _, of_rule in verdicts.groupby("rule"):
        assert set(of_rule["video_id"]) == videos


def test_the_model_tells_unseen_groups_apart(demo_run: DemoRun) -> None:
    verdicts = demo_run.table("verdicts")
    groups = demo_run.table("videos").set_index("video_id")["source_group"]
    unseen = verdicts[(verdicts["split"] == "test") & verdicts["rule"].str.startswith("mean")]
    assert groups[unseen["video_id"]].nunique() >= 10
    metrics = demo_run.table("metrics")
    auc = metrics.query("level == 'video' and slice == 'split=test' and name == 'auc' and rule.str.startswith('mean')")
    assert len(auc) == 1
    assert auc["low"].item() > 0.5


def test_a_second_run_changes_nothing_and_reads_no_video(demo_run: DemoRun) -> None:
    before = demo_run.versions()
    for job in ("ingest", "extract", "train", "score", "report"):
        demo_run.submit(job)
    assert demo_run.versions() == before
    assert demo_run.runs("extract")[-1]["counts"]["bytes_read"] == 0


def test_another_process_asks_by_name(demo_run: DemoRun) -> None:
    query = """
        SELECT chunk, count(*), avg(int(verdict = verdicts.label))
        FROM deepfake.verdicts JOIN deepfake.videos USING (video_id)
        WHERE rule LIKE 'mean%' AND verdicts.label IS NOT NULL GROUP BY chunk ORDER BY chunk;
        SELECT video_id, p_fake FROM deepfake.verdicts
        WHERE rule LIKE 'mean%' AND label IS NOT NULL AND p_fake IS NOT NULL
        ORDER BY abs(p_fake - int(label = 'FAKE')) DESC, video_id LIMIT 10;
    """
    answer = demo_run.submit("sql", options=("--", "-e", query)).stdout.strip().splitlines()
    rows = [line.split("\t") for line in answer]
    chunks = [row for row in rows if len(row) == 3]
    worst = [row for row in rows if len(row) == 2]
    verdicts = demo_run.table("verdicts").merge(demo_run.table("videos")[["video_id", "chunk"]], on="video_id")
    verdicts = verdicts[verdicts["rule"].str.startswith("mean") & verdicts["label"].notna()]
    for chunk, of_chunk in verdicts.groupby("chunk"):
        row = next(row for row in chunks if row[0] == chunk)
        assert int(row[1]) == len(of_chunk)
        assert float(row[2]) == pytest.approx((of_chunk["verdict"] == of_chunk["label"]).mean())
    scored = verdicts.dropna(subset=["p_fake"]).copy()
    scored["error"] = (scored["p_fake"] - (scored["label"] == "FAKE")).abs()
    scored = scored.sort_values(["error", "video_id"], ascending=[False, True]).head(10)
    assert [row[0] for row in worst] == list(scored["video_id"])
    assert [float(row[1]) for row in worst] == pytest.approx(list(scored["p_fake"]))
