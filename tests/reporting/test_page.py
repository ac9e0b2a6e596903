"""The report page: self-contained, complete, and safe with hostile names."""

import base64
import hashlib
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest

from dflib.cli.package import pack
from dflib.reporting import verdict_table
from dflib.reporting.notices import notices
from dflib.reporting.page import NAMES_LISTED
from dflib.reporting.thumbnails import Thumbnail
from dflib.tables.store import Tables
from tests.reporting.conftest import MISJUDGED, RUNS, Reported, run
from tests.reporting.made_findings import MADE, PLACE, findings, render, renderer, video
from tests.reporting.parsed_page import ParsedPage
from tests.score_rows import ScoreRows, assign

HOSTILE = "</script><script>alert('x')</script>\"&\x1b[31m{{ 7 * 7 }}"
HEAD = ["video", "verdict", "score", "from threshold", "label", "faces used", "lowest, median, highest face", "reason"]


def test_table_holds_every_verdict_in_the_order_of_review() -> None:
    page = ParsedPage(
        render(
            findings(
                [
                    video("t/far", 0.9, "FAKE"),
                    video("t/near", 0.48, "FAKE"),
                    video("t/unlabelled", 0.7),
                    video("t/none", None, "REAL", reason="NO_FACE"),
                ]
            )
        )
    )
    assert page.tables["verdict-table"] == [
        HEAD,
        ["t/near", "REAL wrong", "0.480", "−0.020", "FAKE", "2 of 2", "", ""],
        ["t/unlabelled", "FAKE", "0.700", "+0.200", "", "2 of 2", "", ""],
        ["t/far", "FAKE", "0.900", "+0.400", "FAKE", "2 of 2", "", ""],
        ["t/none", "UNDETERMINED", "–", "–", "REAL", "0 of 0", "", "NO_FACE"],
    ]


def test_table_of_an_unlabelled_set_names_every_verdict() -> None:
    html = render(findings([video("a", 0.9), video("b", 0.1), video("c", None)]))
    page = ParsedPage(html)
    assert page.tables["verdict-table"] == [
        [name for name in HEAD if name != "label"],
        ["a", "FAKE", "0.900", "+0.400", "2 of 2", "", ""],
        ["b", "REAL", "0.100", "−0.400", "2 of 2", "", ""],
        ["c", "UNDETERMINED", "–", "–", "0 of 0", "", "NO_FACE"],
    ]
    assert "No video has a label" in page.text
    assert "Quality" not in page.text and "Confusion" not in page.text
    assert "ROC curve: not drawn, because no video with a verdict has a label." in page.text


def test_table_shows_thumbnails_with_their_score() -> None:
    faces = {"a": [Thumbnail(0.125, 30, "data:image/jpeg;base64,AAAA"), Thumbnail(None, 45, None)]}
    html = render(findings([video("a", 0.9)]), faces)
    assert '<img alt="face in frame 30, p_fake 0.125" title="frame 30, p_fake 0.125" src="data:image/jpeg' in html
    assert '<span title="frame 45, no score">crop can\'t be read</span>' in html


def test_page_states_run_date_and_code_version() -> None:
    text = ParsedPage(render(findings([video("a", 0.9)]))).text
    for expected in (MADE.run_id, "2026-01-02 03:04 UTC", MADE.code_version, "faces version 3", "weights " + "cd" * 6):
        assert expected in text


def test_page_lists_undetermined_videos_by_reason() -> None:
    rows = [video(f"v{number:03}", None, reason="NO_FACE") for number in range(NAMES_LISTED + 5)]
    text = ParsedPage(render(findings([*rows, video("x", None, reason="MOOV_MISSING")]))).text
    assert "NO_FACE: 205" in text and "no face was found in any sampled frame" in text
    assert "… and 5 more in the table of verdicts" in text
    assert "MOOV_MISSING: 1" in text


def test_page_counts_the_faces_left_out_by_reason() -> None:
    rows = [
        video("a", 0.9, face_rows=5, faces_moving=3),
        video("b", None, reason="NOT_SCORED", face_rows=1, faces_moving=1, faces_used=1),
    ]
    tables = ParsedPage(render(findings(rows))).tables[""]
    assert ["found", "6"] in tables and ["used in a verdict", "2"] in tables
    left_out = {row[0]: row[1] for row in tables if row[0].startswith("left out")}
    assert left_out == {
        "left out: never move while another face does (static)": "2",
        "left out: beyond the limits of report.quality": "1",
        "left out: no score by this model": "1",
    }


def test_small_set_is_the_first_notice() -> None:
    rows = [video(f"v{number}", number / 5, "FAKE" if number > 2 else "REAL") for number in range(5)]
    first = notices(findings(rows, not_extracted=1))[0]
    assert "5 labelled videos with a verdict (2 FAKE, 3 REAL) from 5 source groups" in first
    assert "changes the accuracy by 20 percentage points" in first
    html = render(findings(rows))
    assert html.index("Small set") < html.index("<section") and html.index("Small set") < html.index("Quality")


@pytest.mark.parametrize(
    ("videos", "groups", "small"), [(40, 40, False), (40, 19, True), (40, 20, False), (19, 19, True)]
)
def test_small_set_depends_on_source_groups(videos: int, groups: int, small: bool) -> None:
    rows = [
        video(f"v{number}", 0.5, ("REAL", "FAKE")[number % 2], source_group=f"g{number % groups}")
        for number in range(videos)
    ]
    assert any("Small set" in notice for notice in notices(findings(rows))) == small


@pytest.mark.parametrize(("fakes", "small"), [(9, True), (10, False)])
def test_small_set_depends_on_the_rarer_class(fakes: int, small: bool) -> None:
    rows = [video(f"v{number}", 0.5, "FAKE" if number < fakes else "REAL") for number in range(60)]
    assert any("Small set" in notice for notice in notices(findings(rows))) == small


def test_metric_without_interval_states_the_reason() -> None:
    rows = [video(f"v{number}", number / 5, "FAKE" if number > 2 else "REAL", source_group="g") for number in range(5)]
    found = findings(rows)
    reason = found.metric("auc").reason
    assert reason
    html = render(found)
    page = ParsedPage(html)
    cards = html[html.index('id="quality"') : html.index('id="verdicts"')]
    assert ["AUC", "1.000", f"no interval: {reason}", "5", "left out"] in page.tables[""]
    # In narrow columns and on cards, a letter stands for the reason.
    (line,) = [row for row in page.tables[""] if row[0] == "all"]
    (mark,) = re.findall(r"no interval \((.)\)", line[3])
    assert cards.count(f"no interval ({mark})") == 5
    assert f"No interval: ({mark}) {reason}" in cards


def test_long_table_is_cut_into_linked_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_table, "PART_ROWS", 3)
    rows = [video(f"v{number}", 0.5 + number / 100) for number in range(8)]
    pages = [ParsedPage(html) for html in renderer(findings(rows))(PLACE)]
    assert len(pages) == 3
    names = [[row[0] for row in page.tables["verdict-table"][1:]] for page in pages]
    assert names == [["v0", "v1", "v2"], ["v3", "v4", "v5"], ["v6", "v7"]]
    assert "Part 2 of 3: rows 4 to 6 of 8" in pages[1].text
    files = [f"name/{MADE.run_id}.html", f"name/{MADE.run_id}.part-2.html", f"name/{MADE.run_id}.part-3.html"]
    for number, page in enumerate(pages):
        others = [f"{name}#verdicts" for other, name in enumerate(files) if other != number]
        assert [link for link in page.links if link.endswith("#verdicts") and len(link) > 9] == others
    assert "name.html" in pages[1].links


def test_page_of_5000_rows_with_thumbnails_stays_below_ten_megabytes() -> None:
    name = "dataset/part_00/" + "x" * 30
    rows = [video(f"{name}{number:05}", number / 5000, ("REAL", "FAKE")[number % 2]) for number in range(5000)]
    found = findings(rows, bootstrap=100)
    ids = verdict_table.with_faces(verdict_table.in_order(found))
    assert len(ids) == verdict_table.VIDEOS_WITH_FACES
    html = render(found, {video_id: [Thumbnail(0.5, 0, "x" * 3500)] * 3 for video_id in ids})
    assert len(html) < 10_000_000


def hostile_findings(**changes: object) -> str:
    names = [f"{HOSTILE}{number}" for number in range(4)]
    rows = [
        video(name, number / 3, ("REAL", "FAKE")[number % 2], chunk=HOSTILE, source_group=HOSTILE)
        for number, name in enumerate(names)
    ]
    rows.append(video(HOSTILE, None, reason=HOSTILE))
    return render(findings(rows, model_id=HOSTILE))


def test_hostile_names_are_text_and_nothing_else() -> None:
    rows = [video(f"v{number}", number / 3, ("REAL", "FAKE")[number % 2]) for number in range(4)]
    plain = ParsedPage(render(findings([*rows, video("none", None)])))
    page = ParsedPage(hostile_findings())
    assert page.tags.count("script") == plain.tags.count("script") == 1

    # No element has an attribute that the same page with plain names does not have.
    def names(one: ParsedPage) -> set[tuple[str, str]]:
        return {(tag, name) for tag, name, _ in one.attributes}

    assert names(page) == names(plain)
    cells = [row[0] for row in page.tables["verdict-table"][1:]]
    assert sorted(cells) == sorted([HOSTILE, *(f"{HOSTILE}{number}" for number in range(4))])
    assert "49" not in "".join(cells)


def test_page_allows_its_own_script_only() -> None:
    html = hostile_findings()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    directives = dict(part.strip().split(" ", 1) for part in unescape(policy[1]).split(";"))
    assert directives["default-src"] == "'none'" and directives["img-src"] == "data:"
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert directives["script-src"] == f"'sha256-{digest}'"


def test_page_needs_no_other_file() -> None:
    html = hostile_findings()
    page = ParsedPage(html)
    assert page.sources and all(uri.startswith("data:image/") for uri in page.sources)
    assert not {"link", "iframe", "object", "embed"} & set(page.tags)
    assert "@import" not in html and "url(" not in html
    for link in page.links:
        assert not link.startswith("#") or link[1:] in page.ids, link


@pytest.mark.spark
def test_report_writes_a_whole_page(reported: Reported) -> None:
    page = ParsedPage(reported.page.read_text())
    for heading in ("Quality", "Confusion", "All metrics", "Pooling rules", "Slices", "Most wrong videos"):
        assert heading in page.text
    assert sum(uri.startswith("data:image/svg") for uri in page.sources) == 4
    images = [
        cv2.imdecode(np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR).shape
        for uri in page.sources
        if "jpeg" in uri
    ]
    sides = [max(shape) for shape in images]
    assert set(sides) == {80, 112}
    assert 3 <= sides.count(112) <= 11
    assert MISJUDGED in page.text and "can't be read" in page.text
    rows = page.tables["verdict-table"][1:]
    verdicts = reported.table("verdicts")
    of_rule = verdicts[verdicts["rule"].str.startswith("mean")].set_index("video_id")
    assert {row[0]: row[1].removesuffix(" wrong") for row in rows} == of_rule["verdict"].to_dict()
    assert {row[0] for row in rows if row[-1] == "UNREADABLE"} == set(of_rule.index[of_rule["reason"] == "UNREADABLE"])
    # Every video with a face shows up to three of them.
    faces = {face["video_id"] for face in reported.rows.faces}
    assert sides.count(80) + page.text.count("crop can't be read") >= len(faces)


@pytest.mark.spark
def test_report_keeps_the_pages_of_earlier_runs(tables: Tables, tmp_path: Path) -> None:
    rows = ScoreRows()
    rows.video("t/a", [[0.9], [0.4], [0.7], [0.8]], label="FAKE")
    rows.write(tables)
    (uri,) = run(tables, tmp_path, rules=("mean",)).pages
    first = Path(uri.removeprefix("file://"))
    before = first.read_text()
    result = run(tables, tmp_path, run_id=RUNS[1], rules=("mean",), threshold=0.8)
    assert result.pages == [uri] and result.pages_written == 1
    page = ParsedPage(first.read_text())
    kept = f"{first.stem}/{RUNS[0]}.html"
    assert kept in page.links and RUNS[1] in page.text
    earlier = (tmp_path / "reports" / kept).read_text()
    assert ParsedPage(earlier).tables == ParsedPage(before).tables
    assert f"../{first.name}" in ParsedPage(earlier).links


@pytest.mark.spark
def test_report_of_hostile_names_with_one_class_and_a_rank(tables: Tables, tmp_path: Path) -> None:
    rows = ScoreRows(model_id=HOSTILE)
    for number in range(6):
        name = f"{HOSTILE}{number}"
        rows.video(f"t/{name}", [[0.9], [0.4]], label="FAKE", group=name, chunk=HOSTILE)
    rows.video("t/x", failed=HOSTILE)
    rows.write(tables)
    assign(tables, {f"{HOSTILE}{number}": "validation" for number in range(6)})
    text = run(tables, tmp_path, model=HOSTILE, rules=("run:3",)).text
    (path,) = (tmp_path / "reports").glob("*.html")
    page = ParsedPage(path.read_text())
    assert page.tags.count("script") == 1
    assert f"chunk={HOSTILE}" in page.text and f"{HOSTILE}-" not in path.name
    assert "\x1b" not in text and "on all:" in text
    # An imported model takes the splits that were assigned.
    assert "split=validation" in page.text
    assert "is a rank and not a probability" in page.text and re.search(r"log loss +–", text)
    # One class has no ROC, and a rank no reliability diagram: the two histograms are left.
    assert sum(uri.startswith("data:image/svg") for uri in page.sources) == 2
    assert "are of one class" in page.text


def test_templates_are_found_in_a_packed_dflib(tmp_path: Path) -> None:
    archive = pack(tmp_path)
    code = (
        "import dflib; from dflib.pages import html;"
        "html.read_script('dflib.reporting', 'verdicts.js');"
        "from jinja2 import UndefinedError\n"
        "try: html.render('dflib.reporting', 'report.html.j2', filters={'number': str, 'interval': str})\n"
        "except UndefinedError: print(dflib.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(archive))
