"""Aliases: names that stand for models, such as ``champion``, with who set them, when and why."""

import re
from dataclasses import dataclass
from datetime import datetime

from dflib.errors import ConfigError
from dflib.tables.clock import later_than
from dflib.tables.schemas import ALIASES
from dflib.tables.store import Tables

CHAMPION = "champion"
"""The model whose verdicts count."""

ALIASED = "aliased"
"""Stands for all models that have an alias."""

RESERVED = (ALIASED, "all", "latest")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Alias:
    """The newest row of an alias in ``aliases``; the fields are its columns."""

    alias: str
    since: datetime
    model_id: str
    set_by: str
    reason: str | None


def check_name(alias: str, key: str) -> None:
    """Checks that ``alias`` can be the name of an alias.

    Raises:
        ConfigError: it is reserved, or contains other characters than an alias may have; the message begins with
            ``key``, the configuration key that holds it.
    """
    if alias in RESERVED:
        raise ConfigError(
            f"{key}={alias}: this name has a meaning of its own in score.model and report.model; choose another"
        )
    if not _NAME.fullmatch(alias):
        raise ConfigError(
            f"{key}={alias!r}: an alias has 1 to 64 letters, digits, dots, hyphens and underscores, and begins with a "
            "letter"
        )


def current(tables: Tables) -> dict[str, Alias]:
    """The model of each alias now, in order of the names."""
    newest: dict[str, Alias] = {}
    for row in tables.read(ALIASES).select(ALIASES.schema.names).orderBy("alias", "since").collect():
        newest[row["alias"]] = Alias(**row.asDict())
    return newest


def assign(tables: Tables, alias: str, model_id: str, set_by: str, reason: str | None) -> bool:
    """Sets an alias to a model, which must exist; an alias that stands for the model already is left alone.

    Returns:
        Whether the alias changed.
    """
    present = current(tables).get(alias)
    if present is not None and present.model_id == model_id:
        return False
    since = later_than(None if present is None else present.since)
    row = {"alias": alias, "since": since, "model_id": model_id, "set_by": set_by, "reason": reason}
    tables.insert_new(ALIASES, ALIASES.frame(tables.spark, [row]))
    return True
