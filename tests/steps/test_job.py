"""The command line of a job, as far as it is parsed."""

from pathlib import Path

import pytest

from dflib.config import load as conf_files
from dflib.steps.job import _parser

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "score.batch_size=3", "score.model=m"],
        ["--set", "score.batch_size=3", "--set", "score.model=m"],
        ["--set", "score.batch_size=9", "--dry-run", "--set", "score.batch_size=3", "score.model=m"],
        ["--set=score.batch_size=3", "--set", "score.model=m", "--env", "local"],
    ],
)
def test_values_may_follow_one_set_or_several(arguments: list[str]) -> None:
    parsed = _parser("score").parse_args(arguments)
    score = conf_files.load(CONF, parsed.env, parsed.set).score
    assert (score.model, score.batch_size) == ("m", 3)


def test_without_set_nothing_is_laid_over() -> None:
    parsed = _parser("score").parse_args([])
    assert parsed.set == []
    assert _parser("score").parse_args(["--set", "a.b=c"]).set == ["a.b=c"]
    assert _parser("score").parse_args([]).set == []


@pytest.mark.parametrize("arguments", [["--set"], ["stray"], ["--set", "a.b=c", "--unknown"]])
def test_bad_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _parser("score").parse_args(arguments)
    assert ended.value.code == 2
