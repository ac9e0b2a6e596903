"""The options of a job."""

from pathlib import Path

import pytest

from dflib.cli.options import parse
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
    parsed = parse("score", "", arguments)
    score = conf_files.load(CONF, parsed.env, parsed.overrides).score
    assert (score.model, score.batch_size) == ("m", 3)


def test_set_of_one_call_does_not_leak_into_the_next() -> None:
    assert parse("score", "", []).overrides == ()
    assert parse("score", "", ["--set", "a.b=c"]).overrides == ("a.b=c",)
    assert parse("score", "", []).overrides == ()


@pytest.mark.parametrize("arguments", [["--set"], ["stray"], ["--set", "a.b=c", "--unknown"]])
def test_bad_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("score", "", arguments)
    assert ended.value.code == 2
