"""The whole job on the demo data set: its tables are compared with the truth file."""

import json
import os

import nbformat
import pytest
from nbclient import NotebookClient
from sklearn.metrics import roc_auc_score

from tests.jobs.places import HOME, DemoRun

pytestmark = pytest.mark.e2e
STEPS = ("ingest", "extract", "score", "checks", "report")


def test_every_video_of_the_truth_is_in_the_tables_with_its_label(demo_run: DemoRun) -> None:
    videos = demo_run.table("videos").set_index("video_id")
    conflicts = {defect["video_id"] for defect in demo_run.truth["defects"] if defect["code"] == "LABEL_CONFLICT"}
    assert set(videos.index) == {video["video_id"] for video in demo_run.truth["videos"]}
    for video in demo_run.truth["videos"]:
        known = video["label"] in ("REAL", "FAKE") and video["video_id"] not in conflicts
        assert videos.loc[video["video_id"], "label"] == (video["label"] if known else None), video["video_id"]


def test_every_planted_defect_is_found_and_no_other(demo_run: DemoRun) -> None:
    planted = {(defect["video_id"], defect["code"]) for defect in demo_run.truth["defects"]}
    videos, ledger = demo_run.table("videos"), demo_run.table("extractions")
    found = {(row.video_id, problem.partition(":")[0]) for row in videos.itertuples() for problem in row.problems}
    found |= {(row.video_id, row.reason) for row in ledger.itertuples() if row.reason is not None}
    nowhere = videos[videos["original"].notna() & ~videos["original"].isin(videos["video_id"])]
    found |= {(video_id, "ORIGINAL_NOWHERE") for video_id in nowhere["video_id"]}
    # A video whose label two chunks dispute is in both, hence a duplicate too.
    twice = {(video_id, "DUPLICATE") for video_id, code in planted if code == "LABEL_CONFLICT"}
    assert found == planted | twice


def test_the_special_scenes_are_seen_as_what_they_are(demo_run: DemoRun) -> None:
    faces, ledger = demo_run.table("faces"), demo_run.table("extractions").set_index("video_id")
    verdicts = demo_run.table("verdicts")
    scenes = {kind: [] for kind in ("portrait_on_wall", "two_people", "no_face", "rotated")}
    for video in demo_run.truth["videos"]:
        scenes.get(video["kind"], []).append(video)
    static = set(faces.loc[faces["static"] == True, "video_id"])  # noqa: E712
    assert static == {video["video_id"] for video in scenes["portrait_on_wall"]}
    for video in scenes["two_people"]:
        assert faces[faces["video_id"] == video["video_id"]].groupby("frame_index").size().max() == 2
    for video in scenes["no_face"]:
        assert ledger.loc[video["video_id"], "faces"] == 0
        assert set(verdicts.loc[verdicts["video_id"] == video["video_id"], "reason"]) == {"NO_FACE"}
    for video in scenes["rotated"]:
        row = ledger.loc[video["video_id"]]
        assert (row["width"], row["height"]) == (video["width"], video["height"])
        assert row["rotation"] != 0


def test_faces_lie_where_the_truth_has_them(demo_run: DemoRun) -> None:
    normal = {video["video_id"]: video for video in demo_run.truth["videos"] if video["kind"] == "normal"}
    faces = demo_run.table("faces")
    faces = faces[faces["video_id"].isin(normal)]
    overlaps = []
    for row in faces.itertuples():
        x, y, w, h = normal[row.video_id]["faces"][0]["boxes"][row.frame_index]
        width = min(x + w, row.box_x + row.box_w) - max(x, row.box_x)
        height = min(y + h, row.box_y + row.box_h) - max(y, row.box_y)
        both = max(width, 0) * max(height, 0)
        overlaps.append(both / (w * h + row.box_w * row.box_h - both))
    hits = sum(overlap > 0.5 for overlap in overlaps)
    assert hits >= 0.95 * 4 * len(normal)
    assert len(overlaps) - hits <= 0.01 * hits


def test_the_summaries_name_the_defects(demo_run: DemoRun) -> None:
    ingest, extract = (next(line for line in demo_run.lines if line.startswith(f"{step}: ")) for step in STEPS[:2])
    for code in ("MISSING_FILE", "EMPTY_FILE", "NO_METADATA_ENTRY", "UNKNOWN_LABEL", "LABEL_CONFLICT"):
        assert code in ingest
    for code in ("MISSING_FILE", "EMPTY_FILE", "UNREADABLE"):
        assert f"{code} 1" in extract


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
    decided = unseen.dropna(subset="p_fake")
    expected = roc_auc_score(decided["label"] == "FAKE", decided["p_fake"])
    assert auc["value"].item() == pytest.approx(expected) and expected > 0.9
    # Where every resample gives the same AUC there is no interval.
    assert auc["low"].notna().item() == (expected < 1)


def test_the_night_scores_and_reports_what_was_extracted(demo_run: DemoRun) -> None:
    """A night after this one would write nothing at all: tests/jobs/test_nights.py."""
    night = demo_run.night
    assert len(demo_run.runs("extract")) == 1
    assert set(demo_run.table("checks")["outcome"]) <= {"PASSED", "UNMEASURED"}
    assert night["outcome"] == "DONE" and night["attention"] == []
    assert {"predictions", "verdicts", "metrics", "publications", "checks"} <= set(night["tables"])
    assert not {"videos", "faces", "extractions"} & set(night["tables"])
    outcomes = {step: of_step["outcome"] for step, of_step in night["steps"].items()}
    assert outcomes == dict.fromkeys(STEPS, "DONE") | {"extract": "UNCHANGED"}
    assert demo_run.lines[-1].startswith("nightly: ingest done; extract nothing new; score done")


@pytest.mark.cluster  # make test has no time for it
def test_explain_replays_a_video_to_the_bit(demo_run: DemoRun) -> None:
    fakes = demo_run.table("verdicts").query("verdict == 'FAKE'")["video_id"]
    target = demo_run.root / "explained.json"
    options = ("--format", "json", "--to", str(target), "--replay", fakes.iloc[0])
    demo_run.submit("explain", options=options)
    explained = json.loads(target.read_text())
    checks = {check["link"]: check["outcome"] for check in explained["replay"]}
    assert len(checks) == 6 + 3 and set(checks.values()) == {"equal"}, explained["replay"]
    assert explained["current"]["verdict"] == "FAKE" and explained["extraction"]["sha256"]


@pytest.mark.cluster  # make test has no time for it
def test_status_and_estimate_report_it_and_change_nothing(demo_run: DemoRun) -> None:
    before, ledger = demo_run.versions(), demo_run.table("extractions")
    output = demo_run.chain("status", "estimate", settings=("estimate.cores=8",)).stdout
    done = ledger.query("outcome == 'DONE'")
    assert f"extracted  {len(done)} by {ledger['extractor'].iloc[0]}, {len(ledger) - len(done)} failed" in output
    assert ", 0 to do" in output and "running" not in output and output.count("ended ") == 5
    faces = len(demo_run.table("faces"))
    assert f"scored     {faces:,} of {faces:,} faces by {demo_run.table('models')['model_id'].iloc[0]}" in output
    assert f"measured on {ledger['run_id'].iloc[0]}: {len(done)} videos" in output
    assert "estimate: 0.0 minutes for 0 videos" in output
    assert demo_run.versions() == before


def test_sql_of_another_process_finds_the_tables_by_name(demo_run: DemoRun) -> None:
    counts = ["true_fake", "false_fake", "true_real", "false_real", "undetermined"]
    query = """
        SELECT chunk, count(*), avg(int(verdict = verdicts.label))
        FROM deepfake.verdicts JOIN deepfake.videos USING (video_id)
        WHERE rule LIKE 'mean%' AND verdicts.label IS NOT NULL GROUP BY chunk ORDER BY chunk;
        SELECT video_id, p_fake FROM deepfake.verdicts
        WHERE rule LIKE 'mean%' AND label IS NOT NULL AND p_fake IS NOT NULL
        ORDER BY abs(p_fake - int(label = 'FAKE')) DESC, video_id LIMIT 10;
        SELECT split, true_fake, false_fake, true_real, false_real, undetermined
        FROM deepfake.confusion WHERE rule LIKE 'mean%';
    """
    answer = demo_run.submit("sql", options=("--", "-e", query)).stdout.strip().splitlines()
    rows = [line.split("\t") for line in answer]
    heads = [["video_id", "p_fake"], ["split", *counts]]
    assert all(head in rows for head in heads) and rows[0][0] == "chunk", "each answer begins with its column names"
    rows = [row for row in rows if row[0] not in ("chunk", "video_id", "split")]
    chunks = [row for row in rows if len(row) == 3]
    worst = [row for row in rows if len(row) == 2]
    confusion = {row[0]: [int(count) for count in row[1:]] for row in rows if len(row) == 6}
    counted = demo_run.table("metrics").query("level == 'video' and rule.str.startswith('mean')")
    counted = counted.pivot(index="slice", columns="name", values="value")
    assert {"all", "test"} <= set(confusion)
    for split, found in confusion.items():
        assert found == list(counted.loc["all" if split == "all" else f"split={split}", counts]), split
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


def test_notebooks_execute_and_show_images(demo_run: DemoRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after another in one kernel, which keeps its Spark session and forgets all names in between."""
    monkeypatch.setenv("DFLIB_TABLES", str(demo_run.root / "tables"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")]))
    notebooks = [nbformat.read(path, as_version=4) for path in sorted((HOME / "notebooks").glob("*.ipynb"))]
    joined = nbformat.v4.new_notebook()
    for notebook in notebooks:
        joined.cells += [*notebook.cells, nbformat.v4.new_code_cell("%reset -f")]
    NotebookClient(joined, timeout=300, resources={"metadata": {"path": str(HOME / "notebooks")}}).execute()
    for notebook in notebooks:
        executed, joined.cells = joined.cells[: len(notebook.cells)], joined.cells[len(notebook.cells) + 1 :]
        outputs = [output for cell in executed for output in cell.get("outputs", [])]
        assert [output for output in outputs if "image/png" in output.get("data", {})]
