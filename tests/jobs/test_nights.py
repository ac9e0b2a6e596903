"""Six nights of a team, and a person who asks to be forgotten: what each costs, changes and says."""

import fcntl
import json
import resource
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.jobs.places import HOME, Place
from tools.demo import dataset

# Some twenty jobs in processes of their own; make test has no time for them.
pytestmark = pytest.mark.cluster
WEIGHTS = "from dflib.models import networks; import sys; networks.build('meso4', 64).save_weights(sys.argv[1])"


@dataclass
class Nights(Place):
    """Tables that several nights work on."""

    summaries: list[dict[str, Any]] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def night(self, *settings: str, code: int = 0) -> dict[str, Any]:
        """Runs a night; returns its summary, and keeps the CPU seconds of all of its processes."""
        file = self.root / f"night-{len(self.summaries)}.json"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.submit("nightly", *settings, options=("--summary", str(file)), code=code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        self.summaries.append(json.loads(file.read_text()))
        print(f"night {len(self.summaries)}: {self.cpu[-1]:.0f} CPU-s, {outcomes(self.summaries[-1])}")
        return self.summaries[-1]

    def model(self, name: str, weights: str, positive: str) -> None:
        path = self.root / weights
        if not path.exists():
            environment = self.environment() | {"TF_USE_LEGACY_KERAS": "1"}
            subprocess.run([sys.executable, "-c", WEIGHTS, str(path)], check=True, cwd=HOME, env=environment)
        values = (f"weights.path={path}", f"weights.name={name}", f"weights.positive={positive}")
        self.submit("import_model", *values, "weights.network=meso4", "weights.view.size=64")

    def ask(self, job: str, *arguments: str) -> str:
        """Runs a job with arguments of its own, which come before ``--set`` and its many values."""
        command = self.command(job)
        command[2:2] = arguments
        return self._run(job, command, self.environment(), 0).stdout

    def promote(self, model: str, alias: str) -> None:
        self.ask("promote", model, "--as", alias, "--why", "a test")

    def current(self) -> dict[str, tuple[str, str]]:
        """Model and verdict of each video that count, from the tables by pandas."""
        newest = self.table("publications").sort_values("published_at").drop_duplicates("extractor", keep="last")
        rows = self.table("verdicts").merge(newest[["extractor", "model_id", "rule"]])
        return {row.video_id: (row.model_id, row.verdict) for row in rows.itertuples()}

    def bytes_of_videos(self) -> int:
        return int(self.table("tasks")["bytes_read"].fillna(0).sum())

    def changes(self, summary: dict[str, Any]) -> pd.DataFrame:
        rows = self.table("changes")
        return rows[rows["run_id"] == summary["steps"]["report"]["run_id"]]


def outcomes(summary: dict[str, Any]) -> dict[str, str]:
    return {name: step["outcome"] for name, step in summary["steps"].items()}


def rewrite(chunk: Path, without: str | None = None, relabelled: str | None = None) -> None:
    """Writes a chunk again without one video, or with the other label of one."""
    target = chunk.with_suffix(".new")
    with zipfile.ZipFile(chunk) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("metadata.json"):
                listed = json.loads(content)
                if without:
                    listed.pop(without, None)
                if relabelled:
                    listed[relabelled]["label"] = "REAL" if listed[relabelled]["label"] == "FAKE" else "FAKE"
                content = json.dumps(listed).encode()
            if without is None or not entry.filename.endswith(without):
                new.writestr(entry, content)
    target.replace(chunk)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    root = tmp_path_factory.mktemp("nights")
    dataset.make(root / "data", identities=6, clips_per_identity=3, chunks=3, seconds=1.0, seed=11)
    (root / "chunks").mkdir()
    made = Nights(root, chunks=f"{root}/chunks/*.zip")
    made.model("steady", "one.h5", "fake")
    return made


def test_six_nights(nights: Nights) -> None:
    chunks = sorted((nights.root / "data" / "chunks").iterdir())
    for chunk in chunks[:2]:
        shutil.copy(chunk, nights.root / "chunks")

    everything = nights.night(code=3)
    assert set(outcomes(everything).values()) == {"DONE"}
    assert {"videos", "faces", "predictions", "verdicts", "checks"} <= set(everything["tables"])
    assert (nights.root / "reports" / "nightly.html").exists()
    first_bytes, versions, pages = nights.bytes_of_videos(), nights.versions(), page_times(nights)

    nothing = nights.night()
    unchanged = dict.fromkeys(("extract", "score", "checks", "report"), "UNCHANGED")
    assert outcomes(nothing) == {"ingest": "DONE"} | unchanged
    assert nothing["tables"] == {} and nights.versions() == versions and page_times(nights) == pages
    assert nights.bytes_of_videos() == first_bytes

    shutil.copy(chunks[2], nights.root / "chunks")
    new_chunk = nights.night(code=3)
    own = sum(name.startswith("dfdc/") for name in set(nights.table("videos")["video_id"]))
    extracted = new_chunk["steps"]["extract"]["counts"]["videos"]
    assert 0 < extracted < own
    assert nights.bytes_of_videos() - first_bytes <= 1.1 * chunks[2].stat().st_size
    second_bytes = nights.bytes_of_videos()

    nights.model("challenger-model", "two.h5", "fake")
    nights.promote("challenger-model", "challenger")
    champion = nights.current()
    challenger = nights.night()
    assert outcomes(challenger)["extract"] == "UNCHANGED" and nights.bytes_of_videos() == second_bytes
    scored = Counter(nights.table("predictions")["model_id"])
    assert scored["challenger-model"] == scored["steady"]
    assert nights.current() == champion


def page_times(nights: Nights) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in (nights.root / "reports").rglob("*.html")}


def test_a_champion_that_turns_verdicts_is_held_until_release_and_can_be_withdrawn(nights: Nights) -> None:
    before = nights.current()
    nights.model("worse", "one.h5", "real")  # the same weights, and p_fake turned round
    nights.promote("worse", "champion")
    held = nights.night(code=3)
    assert held["held_videos"] > 0 and nights.current() == before
    changes = nights.changes(held)
    assert changes["held"].all() and set(changes["cause"]) == {"NEW_MODEL"} and changes["flipped"].any()

    nights.promote("steady", "champion")
    withdrawn = nights.night()
    assert withdrawn["held_videos"] == 0 and nights.current() == before
    assert len(nights.table("held_verdicts")) == 0

    nights.promote("worse", "champion")
    assert nights.night(code=3)["held_videos"] == held["held_videos"]
    nights.ask("release", "--why", "it is right")
    released = nights.current()
    assert {model for model, _ in released.values()} == {"worse"} and released != before
    nights.promote("steady", "champion")
    assert nights.night(code=3)["held_videos"] > 0
    nights.ask("release", "--why", "back")
    assert nights.current() == before


def test_a_changed_label_and_a_deleted_file_are_told_as_such(nights: Nights) -> None:
    chunk = sorted((nights.root / "chunks").iterdir())[0]
    videos = nights.table("videos")
    own = videos[(videos["chunk"] == chunk.stem) & videos["fingerprint"].notna() & videos["label"].notna()]
    current = nights.current()
    ids = [name for name in own["video_id"] if name in current and current[name][1] != "UNDETERMINED"]
    relabelled, deleted = ids[0], ids[1]
    rewrite(chunk, relabelled=f"{relabelled.removeprefix('dfdc/')}.mp4")
    rewrite(chunk, without=f"{deleted.removeprefix('dfdc/')}.mp4")
    summary = nights.night(code=3)
    causes = dict(zip(nights.changes(summary)["video_id"], nights.changes(summary)["cause"], strict=True))
    assert causes == {relabelled: "NEW_LABEL", deleted: "MISSING_FILE"}
    assert nights.current()[deleted][1] == "UNDETERMINED"
    page = (nights.root / "reports" / "nightly.html").read_text()
    assert relabelled in page and "the label is another one" in page and "the file is gone" in page


def test_forgotten_videos_are_nowhere_and_do_not_come_back(nights: Nights) -> None:
    faces = nights.table("faces")
    chosen = sorted(set(faces["video_id"]))[:3]
    names = [name.removeprefix("dfdc/") for name in chosen]
    planned = nights.ask("forget", *chosen, "--why", "request 17", "--dry-run")
    assert "3 videos" in planned and set(chosen) <= set(nights.table("videos")["video_id"])
    assert "nothing of them is left" in nights.ask("forget", *chosen, "--why", "request 17")
    assert not places_of(nights.root, names)
    assert len(nights.table("forgotten")) == 3
    refused = nights.submit("export", "export.table=faces", "export.version=0", code=1)
    assert "version 0 can't be read" in refused.stdout and "removed by maintain" in refused.stdout
    # Also when their archives are read again.
    for chunk in (nights.root / "chunks").iterdir():
        with zipfile.ZipFile(chunk, "a") as archive:
            archive.comment = b"touched"
    nights.night(code=0)
    assert not set(chosen) & set(nights.table("videos")["video_id"])
    assert not places_of(nights.root, names)


def places_of(root: Path, names: list[str]) -> set[str]:
    """Files below the tables, models and reports that name one of the videos, by grep and in columns of Parquet."""
    found = set()
    for folder in ("tables", "models", "reports"):
        for name in names:
            listed = subprocess.run(["grep", "-rlaF", name, str(root / folder)], capture_output=True, text=True)
            found |= set(listed.stdout.split())
        for path in (root / folder).rglob("*.parquet"):
            text = str(pq.read_table(path).to_pydict())
            found |= {str(path) for name in names if name in text}
    return found


def test_a_night_beside_a_manual_extract_leaves_extract_to_it(nights: Nights) -> None:
    leases = nights.root / "tables" / "_leases"
    with (leases / "run-extract.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a running extract does
        chunk = sorted((nights.root / "chunks").iterdir())[0]
        chunk.touch()  # another version of the chunk, so that extract looks
        summary = nights.night(code=1)
    assert outcomes(summary)["extract"] == "FAILED" and outcomes(summary)["ingest"] == "DONE"
    assert "FAILED" not in (outcomes(summary)[step] for step in ("ingest", "score", "checks", "report"))
    assert "another run of extract is active" in summary["steps"]["extract"]["error"]
    nights.night()


def test_a_second_night_is_refused_while_one_runs(nights: Nights) -> None:
    process = subprocess.Popen(
        nights.command("nightly"), env=nights.environment(), cwd=nights.root, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    lock = nights.root / "tables" / "_leases" / "run-nightly.lock"
    lock.unlink(missing_ok=True)
    while process.poll() is None and not (lock.exists() and lock.read_text()):
        pass
    refused = nights.submit("nightly", code=1)
    assert process.wait() in (0, 3)
    assert "another run of nightly is active" in refused.stdout + refused.stderr
