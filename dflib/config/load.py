"""Loads the configuration: ``conf/base.yml``, ``conf/env/<env>.yml`` over it, and ``--set a.b=c`` over both.

``base.yml`` holds numbers, ``env/*.yml`` locations, neither holds secrets: credentials come from the default AWS chain.
An environment file may extend another one. An unknown key is an error that names the nearest known key.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from dflib.config import Config
from dflib.errors import ConfigError


def load(conf_dir: Path, env: str, overrides: Sequence[str] = ()) -> Config:
    """Reads the configuration of an environment and applies ``a.b=c`` overrides.

    Raises:
        ConfigError: a file is missing or not YAML, a key is unknown, or a value is invalid.
    """
    merged = _read_yaml(conf_dir / "base.yml")
    for name in reversed(env_chain(conf_dir, env)):
        overlay = _read_yaml(conf_dir / "env" / f"{name}.yml")
        overlay.pop("extends", None)
        merged = _merge(merged, overlay)
    for override in overrides:
        merged = _merge(merged, _parse_override(override))
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def env_chain(conf_dir: Path, env: str) -> list[str]:
    """The environment and the ones it extends, nearest first.

    Raises:
        ConfigError: an environment file is missing, or environments extend each other in a cycle.
    """
    chain: list[str] = []
    name: str | None = env
    while name is not None:
        if name in chain:
            raise ConfigError(f"conf/env/{name}.yml extends itself through {' -> '.join(chain)}; break the cycle")
        path = conf_dir / "env" / f"{name}.yml"
        if not path.is_file():
            known = sorted(p.stem for p in (conf_dir / "env").glob("*.yml"))
            raise ConfigError(f"--env {name}: {path} does not exist; known environments: {', '.join(known)}")
        chain.append(name)
        name = _read_yaml(path).get("extends")
    return chain


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds a {type(content).__name__} where sections of keys are expected")
    return content


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not all(part for part in key.split(".")):
        raise ConfigError(f"--set {text}: expected section.key=value")
    try:
        parsed = yaml.safe_load(value) if value else None
    except yaml.YAMLError:
        parsed = value
    # "even:20" and "a: b" are text: a mapping can't be set from the command line.
    if isinstance(parsed, dict):
        parsed = value
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    assert isinstance(parsed, dict)
    return parsed


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(where, known_keys(Config), n=1, cutoff=0.0)
            lines.append(f"{where}: unknown key; did you mean {nearest[0]}?")
        elif problem["type"] == "missing":
            lines.append(f"{where}: missing; set it in conf/base.yml, conf/env/*.yml or with --set {where}=…")
        else:
            lines.append(f"{where}: {problem['msg'].removeprefix('Value error, ')} (got {problem['input']!r})")
    return "configuration: " + "; ".join(lines)


def known_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted keys below a section."""
    keys: list[str] = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += known_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys
