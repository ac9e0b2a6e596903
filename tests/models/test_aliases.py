"""Aliases of models: the newest row counts, and the history stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dflib.errors import ConfigError, ModelError
from dflib.models import aliases, promotion
from dflib.models.aliases import CHAMPION
from dflib.tables.schemas import ALIASES, MODELS
from dflib.tables.store import Tables
from tests.score_rows import model
from tests.table_rows import add


def names(tables: Tables) -> dict[str, str]:
    return {name: alias.model_id for name, alias in aliases.current(tables).items()}


@pytest.mark.spark
def test_promote_moves_an_alias_and_keeps_its_history(tables: Tables) -> None:
    add(tables, MODELS, [model("a"), model("b")])
    assert promotion.promote(tables, "a", CHAMPION, "ana@m", "the first", dry_run=True).before is None
    assert not tables.exists(ALIASES)
    assert promotion.promote(tables, "a", CHAMPION, "ana@m", "the first").before is None
    assert promotion.promote(tables, "b", CHAMPION, "bo@m", None) == promotion.Promotion("b", "a")
    assert promotion.promote(tables, "a", "challenger", "bo@m", None).before is None
    assert promotion.promote(tables, "challenger", CHAMPION, "bo@m", "back") == promotion.Promotion("a", "b")
    assert names(tables) == {CHAMPION: "a", "challenger": "a"}
    version = tables.version(ALIASES)
    assert promotion.promote(tables, "a", CHAMPION, "ana@m", None) == promotion.Promotion("a", "a")
    assert tables.version(ALIASES) == version
    history = tables.read(ALIASES).where("alias = 'champion'").orderBy("since").collect()
    assert [(row["model_id"], row["set_by"], row["reason"]) for row in history] == [
        ("a", "ana@m", "the first"),
        ("b", "bo@m", None),
        ("a", "bo@m", "back"),
    ]


@pytest.mark.spark
def test_promote_refuses_unknown_models_and_names_of_models(tables: Tables) -> None:
    add(tables, MODELS, [model("a"), model("b")])
    with pytest.raises(ModelError, match="no model 'c'"):
        promotion.promote(tables, "c", CHAMPION, "ana", None)
    with pytest.raises(ModelError, match="b: this is the name of a model"):
        promotion.promote(tables, "a", "b", "ana", None)
    assert not tables.exists(ALIASES)


@pytest.mark.spark
def test_newest_alias_counts_after_the_clock_was_set_back(tables: Tables) -> None:
    ahead = datetime.now(UTC) + timedelta(days=400)
    row = {"alias": CHAMPION, "since": ahead, "model_id": "a", "set_by": "ana", "reason": None}
    add(tables, ALIASES, [row])
    assert aliases.assign(tables, CHAMPION, "b", "ana", None)
    assert names(tables) == {CHAMPION: "b"}
    assert tables.read(ALIASES).count() == 2


@pytest.mark.spark
def test_promote_first_makes_a_champion_once_and_never_of_a_control(tables: Tables) -> None:
    shuffled: dict[str, Any] = model("control") | {"settings": '{"decided_by": {"train": {"shuffle_labels": true}}}'}
    add(tables, MODELS, [shuffled, model("a"), model("b")])
    assert not promotion.promote_first(tables, "control", "run")
    assert names(tables) == {}
    assert promotion.promote_first(tables, "a", "run")
    assert not promotion.promote_first(tables, "b", "run")
    assert names(tables) == {CHAMPION: "a"}


@pytest.mark.parametrize("name", ["latest", "all", "aliased", "", "1a", "a/b", "a b", "x" * 65])
def test_check_name_refuses_reserved_and_invalid_names(name: str) -> None:
    with pytest.raises(ConfigError, match=r"promote\.alias="):
        aliases.check_name(name, "promote.alias")
    aliases.check_name("champion", "promote.alias")
