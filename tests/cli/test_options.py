"""The options of a job."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dflib.cli.options import parse
from dflib.config import load as conf_files
from dflib.steps.forget import STEP as FORGET
from dflib.steps.nightly import JOB as NIGHTLY
from dflib.steps.promote import STEP as PROMOTE
from dflib.steps.step import Argument

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


def test_own_arguments_set_their_keys_to_the_very_text() -> None:
    parsed = parse("promote", "", ["m-1", "--as", "no", "--why", "yes: 1,2 'a' = {b}"], PROMOTE.arguments)
    wanted = conf_files.load(CONF, parsed.env, parsed.overrides).promote
    assert (wanted.model, wanted.alias, wanted.reason) == ("m-1", "no", "yes: 1,2 'a' = {b}")
    parsed = parse("promote", "", ["--as", "champion", "m", "--set", "promote.reason=r"], PROMOTE.arguments)
    wanted = conf_files.load(CONF, parsed.env, parsed.overrides).promote
    assert (wanted.model, wanted.alias, wanted.reason) == ("m", "champion", "r")


def test_own_arguments_that_are_missing_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["m"], ["--as", "champion"], ["m", "m2", "--as", "champion"], []):
        with pytest.raises(SystemExit) as ended:
            parse("promote", "", arguments, PROMOTE.arguments)
        assert ended.value.code == 2
    assert "usage: dflib promote MODEL --as ALIAS [--why REASON] [options]" in capsys.readouterr().err


def test_optional_positional_argument_may_be_left_out() -> None:
    own = (Argument("NAME", "train.name", "", required=False),)
    assert parse("x", "", [], own).overrides == ()
    assert parse("x", "", ["n"], own).overrides == ('train.name="n"',)


def test_a_list_argument_takes_several_values_as_they_are() -> None:
    parsed = parse("forget", "", ["d/a,b", "d/c", "--why", "request", "--with-fakes"], FORGET.arguments)
    wanted = conf_files.load(CONF, parsed.env, parsed.overrides).forget
    assert (wanted.videos, wanted.reason, wanted.with_fakes) == (("d/a,b", "d/c"), "request", True)


def test_backfill_arguments_of_nightly_set_the_keys_of_its_steps() -> None:
    options = ["--since", "2026-11-02", "--model", "challenger", "--extractor", "e"]
    parsed = parse("nightly", "", options, NIGHTLY.all_arguments)
    config = conf_files.load(CONF, parsed.env, parsed.overrides)
    since = datetime(2026, 11, 2, tzinfo=UTC)
    assert config.extract.since == config.score.since == since
    assert (config.score.model, config.report.model) == ("challenger", "challenger")
    assert (config.score.extractor, config.report.extractor) == ("e", "e")
