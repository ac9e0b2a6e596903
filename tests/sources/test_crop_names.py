"""Patterns of crop file names."""

import pytest

from dflib.errors import ConfigError
from dflib.sources.crop_names import CropName, CropPattern, suggestion


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("<video>-<frame>-<face>", "abofeumbvv-3-1", CropName("abofeumbvv", None, 3, 1)),
        ("<video>-<frame>-<face>", "a-b-000012-00", CropName("a-b", None, 12, 0)),
        ("<video>_<k>", "abofeumbvv_7", CropName("abofeumbvv", None, 7, 0)),
        ("<video>[_<original>]_<k>", "akndzxxbai_ryfqnbcpmt_6", CropName("akndzxxbai", "ryfqnbcpmt", 6, 0)),
        ("<video>[_<original>]_<k>", "akndzxxbai_6", CropName("akndzxxbai", None, 6, 0)),
        ("<video>", "df00204", CropName("df00204", None, 0, 0)),
        ("0_<video>.mp4_<face>_<frame>", "0_aayrffkzxn.mp4_1_5", CropName("aayrffkzxn", None, 5, 1)),
        ("<video>[-<frame>]", "a-12", CropName("a", None, 12, 0)),
        ("(<video>).*<k>", "(a).*3", CropName("a", None, 3, 0)),
    ],
)
def test_parse_returns_parts_of_name(pattern: str, name: str, expected: CropName) -> None:
    assert CropPattern(pattern).parse(name) == expected


@pytest.mark.parametrize(
    "name", ["", "abc", "-1-2", "abc-1", "abc-x-1", "abc-1-2-", "abc-1-12345678901", "a/b-1-2", "a-١-1x"]
)
def test_parse_returns_none_for_other_names(name: str) -> None:
    assert CropPattern("<video>-<frame>-<face>").parse(name) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "<video> is missing"),
        ("<frame>", "<video> is missing"),
        ("<video>_<clip>", "<clip> is unknown"),
        ("<video>_<video>", "<video> occurs twice"),
        ("<video>[_<k>", "not closed"),
        ("<video>_<k>]", "unbalanced or nested"),
        ("<video>[[_<k>]]", "unbalanced or nested"),
        ("<video>_<k", "unmatched '<'"),
        ("<video>_<k>_<frame>", "<k> is used as frame"),
    ],
)
def test_pattern_rejects_invalid_text(pattern: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        CropPattern(pattern)


@pytest.mark.parametrize(
    ("stems", "expected"),
    [
        (["abc-1-0", "abc-2-0", "d-1-1"], "3 of them (100%) follow sources.crop_pattern='<video>-<frame>-<face>'"),
        (["abc_1_0", "abc_2_0", "d_1_1"], "'<video>_<frame>_<face>'"),
        (["0_abc.mp4_1_5", "0_d.mp4_0_1"], "'<video>.mp4_<face>_<frame>'"),
        (["abc_1", "abc_def_2", "x y_3"], "'<video>[_<original>]_<k>'"),
        (
            ["033_12", "033_097_12", "033_97_13"],
            "3 of them (100%) follow sources.crop_pattern='<video>[_<original>]_<k>'",
        ),
        (["abc-1", "abc-2", "odd", "d-7"], "4 of them (100%) follow sources.crop_pattern='<video>'"),
        (["df00204", "real00240"], "'<video>'"),
        # Numbers in folders that are named for videos: every folder has the same names.
        (["0_1", "0_2"] * 50, "no known pattern gives most of them a face of their own"),
    ],
)
def test_suggestion_names_the_pattern_that_fits_most(stems: list[str], expected: str) -> None:
    assert expected in suggestion(stems)
