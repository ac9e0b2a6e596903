"""Settings of an extraction as a run record holds them, which another version of dflib may have written."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dflib.config.config import Config
from dflib.config.identity import ADDED, HASHED_AS
from dflib.errors import ConfigError

DECIDING = ("sampling", "faces", "crops")
"""Sections of which every key decides which rows an extraction has, or their pixels."""

_RENAMED = {old: new for new, old in HASHED_AS.items()}


def restored(config: Config, settings: Mapping[str, Any]) -> Config:
    """The configuration with the settings of an earlier extraction.

    A key that decides rows and that the record lacks has the value with which it changes nothing, never today's.  Keys
    of ``extract`` that it lacks are limits and sizes of tasks, and are those of ``config``.

    Args:
        config: today's configuration.
        settings: the sections ``sampling``, ``faces``, ``crops`` and ``extract`` of the run record.

    Raises:
        ConfigError: a key is missing, unknown or invalid; one line.
    """
    values = config.model_dump()
    for section in DECIDING:
        stored = {_RENAMED.get(name, name): value for name, value in _section(settings, section).items()}
        values[section] = {name: ADDED[name] for name in values[section] if name in ADDED} | stored
    # Others that have gone since decided how the work was split.
    values["extract"] |= {
        name: value for name, value in _section(settings, "extract").items() if name in values["extract"]
    }
    if "max_pixels" not in _section(settings, "extract"):
        raise ConfigError(_text("extract.max_pixels: missing"))
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
        raise ConfigError(_text("; ".join(problems))) from None


def _section(settings: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = settings.get(section)
    if not isinstance(found, Mapping):
        raise ConfigError(_text(f"{section}: missing"))
    return found


def _text(problem: str) -> str:
    text = " ".join(problem.split())
    return f"the run record's settings of the extraction can't be used by this version of dflib: {text}; extract again"
