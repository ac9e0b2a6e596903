"""Makes aliases stand for models."""

from dataclasses import dataclass

from dflib.errors import ModelError
from dflib.models import aliases, registry
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Promotion:
    """What became of an alias.

    Attributes:
        model_id: the model that it stands for now.
        before: the model that it stood for; None when it is new.
    """

    model_id: str
    before: str | None


def promote(
    tables: Tables, model: str, alias: str, set_by: str, reason: str | None, dry_run: bool = False
) -> Promotion:
    """Makes an alias stand for a model.

    Args:
        tables: holds ``models`` and ``aliases``.
        model: model_id, or another alias.
        alias: the alias; see :func:`dflib.models.aliases.check_name`.
        set_by: who does it.
        reason: why.
        dry_run: changes nothing.

    Raises:
        ModelError: there is no such model, or the alias is the name of a model.
    """
    found = registry.find(tables, model)
    if any(row["model_id"] == alias for row in registry.newest_first(tables)):
        raise ModelError(f"{alias}: this is the name of a model and can't be an alias; choose another")
    present = aliases.current(tables).get(alias)
    if not dry_run:
        aliases.assign(tables, alias, found.model_id, set_by, reason)
    return Promotion(found.model_id, None if present is None else present.model_id)


def promote_first(tables: Tables, model_id: str, run_id: str) -> bool:
    """Makes a model the champion if there is none and the model is not a control; returns whether it did.

    Args:
        tables: holds ``models`` and ``aliases``.
        model_id: the model.
        run_id: the run that registered it.
    """
    if aliases.CHAMPION in aliases.current(tables):
        return False
    row = next(row for row in registry.newest_first(tables) if row["model_id"] == model_id)
    return not registry.is_control(row) and aliases.assign(
        tables, aliases.CHAMPION, model_id, run_id, "the first model"
    )
