"""Spark properties files, read and written as Spark does, by the rules of ``java.util.Properties``."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dflib.errors import ConfigError

COMMON = "common.conf"
"""The file that lies under every other one in its folder."""
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_BLANK = " \t\f"


def merged(path: Path) -> dict[str, str]:
    """The settings of a file over those of ``common.conf`` beside it, if there is one."""
    common = path.with_name(COMMON)
    return {**(read(common) if common.is_file() else {}), **read(path)}


def read(path: Path) -> dict[str, str]:
    """The settings of a properties file.

    A key ends at the first ``=``, ``:`` or blank that has no backslash before it; without a value the value is empty.
    ``#`` and ``!`` begin comments, a backslash at the end of a line continues it, and of a key that is set twice the
    last value counts. Spark strips blanks, but no line ends, from both ends of a value.

    Raises:
        ConfigError: the file can't be read, or holds a broken ``\\u`` escape.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as Spark properties: {error}") from None
    try:
        return dict(_pair(line) for line in _logical_lines(text))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; write four hexadecimal digits after \\u, or \\\\u for the text") from None


def write(settings: Mapping[str, str]) -> str:
    """The text of a properties file that :func:`read` and Spark read as these settings."""
    return "".join(f"{_escaped(key, '=: ')}={_escaped(value, '')}\n" for key, value in settings.items())


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments and blank lines, each joined with its continuations."""
    lines = iter(re.split(r"\r\n|\r|\n", text))
    for line in lines:
        line = line.lstrip(_BLANK)
        if not line or line[0] in "#!":
            continue
        while _continues(line):
            line = line[:-1] + next(lines, "").lstrip(_BLANK)
        yield line


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _pair(line: str) -> tuple[str, str]:
    match = re.match(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", line, re.DOTALL)
    assert match is not None
    return _unescaped(match[1]), _unescaped(match[2]).strip(_BLANK)


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[1] is not None:
            return chr(int(match[1], 16))
        if match[2] == "u":
            raise ValueError(f"a broken \\u escape in {text!r}")
        return _ESCAPES.get(match[2], match[2])

    return re.sub(r"\\(?:u([0-9A-Fa-f]{4})|(.))", character, text, flags=re.DOTALL)


def _escaped(text: str, separators: str) -> str:
    names = {value: f"\\{key}" for key, value in _ESCAPES.items()} | {"\\": "\\\\"}
    names |= {separator: f"\\{separator}" for separator in separators}
    escaped = "".join(names.get(character, character) for character in text)
    # A leading blank, or comment mark of a key, would be taken for something else.
    return f"\\{escaped}" if escaped[:1] in (" ", "#", "!") else escaped
