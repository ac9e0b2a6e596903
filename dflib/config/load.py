"""Loads the configuration: ``conf/base.yml``, ``conf/env/<env>.yml`` over it, and ``--set a.b=c`` over both.

``base.yml`` holds numbers, ``env/*.yml`` locations, neither holds secrets: credentials come from the default AWS chain.
An environment file may extend another one. An unknown key is an error that names the nearest known key. A value that
holds a secret is refused, and no error repeats it: the configuration travels in command lines and run records.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dflib import uris
from dflib.config import Config
from dflib.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML in which only true and false are booleans, as in YAML 1.2: ``on``, ``off``, ``yes`` and ``no`` are text.

    Keys that are booleans take these words all the same.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load(conf_dir: Path, env: str, overrides: Sequence[str] = ()) -> Config:
    """Reads the configuration of an environment and applies ``a.b=c`` overrides.

    Raises:
        ConfigError: a file is missing or not YAML, a key is unknown, or a value is invalid or holds a secret.
    """
    merged = _read_yaml(conf_dir / "base.yml")
    for name in reversed(env_chain(conf_dir, env)):
        overlay = _read_yaml(conf_dir / "env" / f"{name}.yml")
        overlay.pop("extends", None)
        merged = _merge(merged, overlay)
    for override in overrides:
        merged = _merge(merged, _parse_override(override))
    _refuse_secrets(merged)
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


_NAME = re.compile(r"(['\"])(?!<)(?:(?!\1).){2,}\1")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from None
    except yaml.YAMLError as error:
        # Not the whole message, which repeats the line.
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        # Names are cut out, such as that of an undefined alias; characters and <kinds of token> are not.
        reason = _NAME.sub("…", getattr(error, "problem", None) or "not YAML")
        raise ConfigError(f"{path}: cannot be read as YAML: {place}{reason}") from None
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
    if not equals or not all(part for part in key.split(".")) or uris.secret_in(key):
        raise ConfigError(f"--set {uris.masked(text, address=True)}: expected section.key=value")
    try:
        parsed = yaml.load(value, _Loader) if value else None
    except yaml.YAMLError:
        parsed = value
    # "even:20" and "a: b" are text: a mapping can't be set from the command line.
    if isinstance(parsed, dict):
        parsed = value
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    assert isinstance(parsed, dict)
    return parsed


def _refuse_secrets(values: dict[str, Any]) -> None:
    """Raises :class:`ConfigError` when a value of any key, known or not, holds what looks like a secret of a URI."""
    for place, key, text in _texts(values):
        last = key.rpartition(".")[2]
        secret = uris.secret_in(text, free=last == "reason", address=last == "metastore_at")
        if secret is not None:
            mend = _PASSWORD if last == "metastore_at" else _CREDENTIALS
            raise ConfigError(
                f"{uris.masked(place)} holds {secret}, which would be readable in command lines and run records; {mend}"
            )


_CREDENTIALS = (
    "take it out of the URI; credentials come from the default AWS chain, such as a profile or the variables "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (docs/s3.md)"
)
_PASSWORD = "put the password into the variable DFLIB_METASTORE_PASSWORD"


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Each text below a value with its place in words and its dotted key."""
    if isinstance(value, dict):
        for name, held in value.items():
            # A name may be a URI as well, where a value was written in place of a key.
            yield (f"{key}: the name of a key" if key else "configuration: the name of a section"), "", str(name)
            yield from _texts(held, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for held in value:
            yield from _texts(held, key)
    elif isinstance(value, str):
        yield f"{key}: the value", key, value


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        where = uris.masked(".".join(str(part) for part in problem["loc"]))
        if problem["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(where, known_keys(Config), n=1, cutoff=0.0)
            lines.append(f"{where}: unknown key; did you mean {nearest[0]}?")
        elif problem["type"] == "missing":
            lines.append(f"{where}: missing; set it in conf/base.yml, conf/env/*.yml or with --set {where}=…")
        else:
            lines.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}{_got(problem)}")
    return "configuration: " + "; ".join(lines)


def _got(problem: ErrorDetails) -> str:
    """The refused value; not that of a whole section, which no check knows enough of to tell whether it is a secret."""
    whole = problem["type"] == "model_type" or isinstance(problem["input"], dict | BaseModel)
    return "" if whole else f" (got {uris.masked(repr(problem['input']), address=True)})"


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
