"""What labels CSVs list, matched with the videos of a chunk."""

import unicodedata

from dflib.sources.labels import Claim, Labels
from dflib.sources.listing import LabelsCsv, match

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
