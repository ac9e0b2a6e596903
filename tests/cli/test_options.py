"""The options of a job."""

from pathlib import Path

import pytest

from dflib.cli.job import _parser
from dflib.config import load as conf_files

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
def test_set_takes_several_values_and_may_be_repeated(arguments: list[str]) -> None:
    parsed = _parser("score").parse_args(arguments)
    score = conf_files.load(CONF, parsed.env, parsed.set).score
    assert (score.model, score.batch_size) == ("m", 3)


def test_set_of_one_call_does_not_leak_into_the_next() -> None:
    assert _parser("score").parse_args([]).set == []
    assert _parser("score").parse_args(["--set", "a.b=c"]).set == ["a.b=c"]
    assert _parser("score").parse_args([]).set == []


@pytest.mark.parametrize("arguments", [["--set"], ["stray"], ["--set", "a.b=c", "--unknown"]])
def test_bad_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _parser("score").parse_args(arguments)
    assert ended.value.code == 2
