"""Patterns of crop file names."""

import pytest

from dflib.errors import ConfigError
from dflib.sources.crop_names import CropName, CropPattern


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
