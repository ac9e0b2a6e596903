"""What labels CSVs list, matched with the videos of a chunk."""

import unicodedata

from dflib.sources import listing
from dflib.sources.labels import Claim, Labels
from dflib.sources.listing import LabelsCsv, Listed
from dflib.sources.names import stem


def match(tables: list[LabelsCsv], videos: list[str], left_out: dict[str, str]) -> Listed:
    """Videos that are identified by their paths."""
    return listing.match(tables, {video: stem(video) for video in videos}, left_out)


REAL, FAKE, OTHER = Claim("REAL"), Claim("FAKE"), Claim(None)


def test_match_by_path_and_by_unique_file_name() -> None:
    videos = ["x/a.mp4", "x/b.avi", "c.mov", "y/same.mp4", "z/same.mp4"]
    table = Labels({"x/a": REAL, "b.avi": FAKE, "c": REAL, "same": OTHER, "nowhere": OTHER, "notes": FAKE})
    listed = match([LabelsCsv(table)], videos, {"x/notes": "NOT_VIDEO"})
    assert listed.claims == {"x/a.mp4": [REAL], "x/b.avi": [FAKE], "c.mov": [REAL]}
    assert listed.covered == set(videos) and listed.unused == []
    assert [(name, problem.partition(":")[0]) for name, _, problem in listed.missing] == [
        ("notes", "NOT_VIDEO"),
        ("nowhere", "MISSING_FILE"),
        ("same", "AMBIGUOUS_NAME"),
    ]


def test_match_prefers_a_path_to_a_file_name() -> None:
    assert match([LabelsCsv(Labels({"a": REAL}))], ["a.mp4", "x/a.mp4"], {}).claims == {"a.mp4": [REAL]}


def test_match_limits_a_csv_to_its_folder_and_puts_the_innermost_first() -> None:
    tables = [LabelsCsv(Labels({"a": REAL, "b": REAL})), LabelsCsv(Labels({"a": FAKE, "b": FAKE}), "x")]
    listed = match(tables, ["a.mp4", "x/b.mp4"], {})
    assert listed.claims == {"a.mp4": [REAL], "x/b.mp4": [FAKE, REAL]}
    assert [name for name, *_ in listed.missing] == ["x/a"]


def test_match_with_csvs_from_elsewhere_reports_lines_that_are_of_no_use_here() -> None:
    listed = match([LabelsCsv(Labels({"part/a.mp4": REAL, "other/b": FAKE}), own=False, above="part")], ["a.mp4"], {})
    assert (listed.claims, listed.unused, listed.missing) == ({"a.mp4": [REAL]}, ["other/b"], [])


def test_match_ignores_how_unicode_is_composed() -> None:
    decomposed = unicodedata.normalize("NFD", "é.mp4")
    assert match([LabelsCsv(Labels({"é": REAL}))], [decomposed], {}).claims == {decomposed: [REAL]}


def test_the_configured_csv_takes_precedence_with_a_problem() -> None:
    own, configured = LabelsCsv(Labels({"a": FAKE, "b": FAKE, "c": FAKE})), Labels({"a": REAL, "b": FAKE, "c": OTHER})
    claims = match([own, LabelsCsv(configured, own=False, first=True)], ["a.mp4", "b.mp4", "c.mp4"], {}).claims
    (decided,) = claims["a.mp4"]
    assert decided.label == "REAL" and [problem.partition(":")[0] for problem in decided.problems] == [
        "LABEL_OVERRIDDEN"
    ]
    assert claims["b.mp4"] == [FAKE, FAKE] and claims["c.mp4"] == [OTHER, FAKE]


def test_an_original_is_found_as_a_video_is() -> None:
    fakes = {name: Claim("FAKE", original) for name, original in (("f1", "r1"), ("f2", "same"), ("f3", "elsewhere"))}
    videos = {f"set1/{name}.mp4": f"id/{name}" for name in ("f1", "f2", "f3", "r1", "x/same", "y/same")}
    claims = listing.match([LabelsCsv(Labels(fakes), "set1")], videos, {}).claims
    originals = [claims[f"set1/{name}.mp4"][0] for name in fakes]
    assert [claim.original for claim in originals] == ["id/r1", "same", "elsewhere"]
    assert [len(claim.problems) for claim in originals] == [0, 1, 0] and "AMBIGUOUS_NAME" in originals[1].problems[0]
