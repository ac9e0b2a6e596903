"""The extraction benchmark on a synthetic clip, and its arithmetic on synthetic boxes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import pytest

from benchmarks import extract, extract_counts, extract_variants
from benchmarks.extract_counts import Found
from dflib.extraction.detect import Detection
from dflib.parts import catalog
from tests.extraction.conftest import HOME, Rgb, with_portrait
from tools.demo.clips import encode


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person who moves in 24 frames of 320x240."""
    image = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    portrait: Rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    path = tmp_path_factory.mktemp("clips") / "moving.mp4"
    encode(path, with_portrait(portrait, 24), fps=6)
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.extract", *arguments]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)


@pytest.mark.cluster  # make test has no time for it
def test_benchmark_writes_table_json_and_images(clip: Path, tmp_path: Path) -> None:
    out, variants = tmp_path / "extract.json", ["bare", "seeds11", "ours"]
    images = tmp_path / "images"
    done = run(
        *(str(clip), "--repeats", "2", "--variants", ",".join(variants), "--out", str(out)),
        *("--recall-every", "6", "--min-face", "30", "--images", str(images)),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["variant", *variants, "faces", "ours"]
    result = json.loads(out.read_text())
    assert str(tmp_path) not in out.read_text() and str(clip.parent) not in out.read_text()
    assert {"date", "machine", "load_before", "load_after", "repeats"} <= set(result)
    machine = {"cpu", "cores", "memory_bytes", "python", "av", "opencv-python-headless", "tensorflow", "mtcnn", "dflib"}
    assert machine <= set(result["machine"])
    (described,) = result["clips"]
    assert described == {
        **{"clip": "moving.mp4", "codec": "h264", "width": 320, "height": 240, "frames": 24, "seconds": 4.0}
    }
    assert list(result["variants"]) == variants
    for name, (frames, faces) in {"bare": (20, 0), "seeds11": (4, 4), "ours": (20, 20)}.items():
        figures = result["variants"][name]
        assert (figures["frames"], figures["faces"]) == (frames, faces)
        assert 0 < figures["cpu"] <= figures["cpu_max"] and figures["wall"] > 0 and figures["startup_cpu"] > 0
        assert figures["peak_bytes"] > 50e6
        of_clip = figures["clips"]["moving.mp4"]
        assert of_clip["cpu"] == figures["cpu"] and of_clip["times_bare"] == figures["bare"]
        if faces:
            assert figures["cpu_per_face"] == pytest.approx(figures["cpu"] / faces, abs=1e-4)
    assert result["variants"]["bare"]["bare"] == 1 and result["variants"]["ours"]["seeds20"] is None
    ours = result["variants"]["ours"]["clips"]["moving.mp4"]
    assert 0 < ours["decode_cpu"] + ours["detect_cpu"] <= ours["cpu_max"]
    recall = result["recall"]["variants"]["ours"]
    expected = {"frames": 4, "package": 4, "kept": 4, "clear": 4, "recall": 1, "precision": 1, "precision_clear": 1}
    assert {key: recall[key] for key in expected} == expected
    assert recall["landmark_error"] < 0.05
    assert json.loads((images / "ours" / "index.json").read_text()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["nowhere.mp4"], "no such clip: nowhere.mp4"), ([__file__, "--variants", "bare,best"], "best unknown")],
)
def test_benchmark_rejects_bad_arguments(arguments: list[str], complaint: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and complaint in done.stderr


def test_modes_differ_from_the_base_configuration() -> None:
    base = extract_variants.settings("ours")
    configs = {name: extract_variants.settings(name) for name in extract_variants.OURS}
    assert [name for name, config in configs.items() if config == base] == ["ours"]


def test_modes_include_every_detector_of_the_catalog() -> None:
    detectors = {extract_variants.settings(name).faces.detector for name in extract_variants.OURS}
    assert detectors == set(catalog.DETECTORS.names)


def sample(variant: str, clip: str, repeat: int, cpu: float, faces: int = 2) -> dict[str, Any]:
    figures = {"cpu": cpu, "wall": 2 * cpu, "frames": 4, "faces": faces, "parts": {}, "peak_bytes": int(1e6 * cpu)}
    return {"variant": variant, "clip": clip, "repeat": repeat, **figures}


def test_summarise_divides_by_the_same_clip_and_repeat() -> None:
    """The second repeat is ten times slower for all variants: the ratios stay the same."""
    samples = [
        sample(variant, clip, repeat, cpu * times * slower)
        for repeat, slower in enumerate([1, 10, 1])
        for clip, times in (("a", 1), ("b", 5), ("c", 7))
        for variant, cpu in (("bare", 1.0), ("ours", {"a": 0.5, "b": 0.8, "c": 0.6}[clip]))
    ]
    start = {"cpu": 1.0, "wall": 1.0, "peak_bytes": 1}
    ours = extract.summarise(samples, {"bare": start, "ours": start, "ours_haar": {"skipped": "why"}})["ours"]
    assert ours["bare"] == pytest.approx(0.6) and ours["bare_max"] == pytest.approx(0.8)
    assert ours["seeds20"] is None
    assert ours["cpu"] == pytest.approx(4.0) and ours["cpu_max"] == pytest.approx(42.0)
    assert ours["cpu_per_face"] == pytest.approx((0.5 + 4.0 + 4.2) / 6)
    assert ours["frames"] == 12 and ours["faces"] == 6 and ours["peak_bytes"] == 42_000_000


def test_summarise_rejects_faces_that_differ_between_repeats() -> None:
    samples = [sample("ours", "a", 0, 1.0), sample("ours", "a", 1, 1.0, faces=3)]
    with pytest.raises(SystemExit, match="differ between repeats"):
        extract.summarise(samples, {"ours": {"cpu": 1.0, "wall": 1.0, "peak_bytes": 1}})


POINTS = np.array([[30.0, 40], [70, 40], [50, 60], [35, 80], [65, 80]])


def face(x: float, side: float = 100, confidence: float = 0.99, moved: float = 0) -> Detection:
    return Detection((x, 0.0, side, side), confidence, POINTS + np.array([x + moved, 0]))


def test_count_and_judge() -> None:
    frames = [
        # Found by both; by the package alone; by dflib alone (.9 by the package); too small.
        Found(0, [face(0), face(500)], [face(10, moved=4), face(1000, confidence=0.8)], [face(1005, confidence=0.9)]),
        Found(5, [face(0, side=50)], [face(300, side=50)], []),
        # Two of dflib on one of the package: the nearer one is matched.
        Found(10, [face(0)], [face(20), face(5)], []),
    ]
    counted, lone = extract_counts.count("a.mp4", frames, threshold=0.95, min_face=60)
    figures = extract_counts.summarise([counted])
    assert {key: figures[key] for key in ("frames", "package", "package_matched", "kept", "kept_matched")} == {
        **{"frames": 3, "package": 3, "package_matched": 2, "kept": 4, "kept_matched": 2}
    }
    assert (figures["clear"], figures["clear_matched"]) == (3, 2)
    assert figures["recall"] == pytest.approx(2 / 3) and figures["precision"] == 0.5
    # Moved by 10 + 4 and by 5 pixels of 100.
    assert figures["landmark_error"] == pytest.approx((0.14 + 0.05) / 2)
    assert [(one.frame, one.side, one.other) for one in lone] == [
        (0, "package", None),
        (0, "ours", 0.9),
        (10, "ours", None),
    ]

    verdicts = dict(zip((one.image for one in lone), (True, True, False), strict=True))
    judged = extract_counts.judge(figures, lone, verdicts)
    assert judged["faces"] == 4 and judged["recall"] == 0.75 and judged["precision"] == 0.75
    assert judged["package_recall"] == 0.75 and judged["package_precision"] == 1
    with pytest.raises(SystemExit, match="not judged"):
        extract_counts.judge(figures, lone, {})


@pytest.mark.parametrize(("x", "matched"), [(33.0, 1), (34.0, 0)])
def test_match_joins_faces_from_half_overlap(x: float, matched: int) -> None:
    """Two squares of 100 that lie 33 pixels apart share 67 of 133."""
    assert len(extract_counts.match([face(0)], [face(x)])) == matched
