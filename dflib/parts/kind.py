"""The mechanism behind every kind of named part: a list of names that is read without importing any part."""

import difflib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from dflib.errors import ConfigError


@dataclass(frozen=True)
class Part:
    """An entry of a kind's list.

    Attributes:
        name: as written in the configuration.
        summary: one line for listings and documents.
        extra: the optional dependency group of dflib that installs what the part needs; None: nothing more.
        requires: the module of that group whose absence means that it is not installed.
        argument: regular expression of what follows ``name:`` in the configuration; None: no argument is taken.
        default: the argument when none is written; None: an argument is required.
    """

    name: str
    summary: str
    extra: str | None = None
    requires: str | None = None
    argument: str | None = None
    default: str | None = None

    @property
    def usage(self) -> str:
        """How the part is written, for messages and listings: ``name``, ``name:N`` or ``name[:N]``."""
        if self.argument is None:
            return self.name
        return f"{self.name}:N" if self.default is None else f"{self.name}[:N]"


class Kind:
    """A kind of part, such as the detectors.

    Each part is one module of ``package`` that is named like the part and defines ``PART``, an object of the type
    that the package documents.  Nothing is imported before :meth:`load`.
    """

    def __init__(self, name: str, plural: str, package: str, *parts: Part) -> None:
        """
        Args:
            name: what one part is called in messages, such as "detector".
            plural: heading in listings.
            package: dotted name of the package that holds the modules.
            parts: the list.
        """
        self.name = name
        self.plural = plural
        self.package = package
        self._parts = {part.name: part for part in parts}

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts.values())

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of the list."""
        return tuple(self._parts)

    def check(self, text: str) -> str:
        """Returns ``text`` when it is a name of the list with the argument that the part takes.

        Raises:
            ValueError: it is not; the message names the nearest name.
        """
        name, colon, argument = text.partition(":")
        part = self._parts.get(name)
        if part is None:
            near = difflib.get_close_matches(name, self._parts, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(self._parts) or 'none'}"
            raise ValueError(f"unknown {self.name} {name!r}; {hint}")
        if colon and part.argument is None:
            raise ValueError(f"{self.name} {name} takes no argument, but has {argument!r}")
        expected = part.argument is not None and (colon or part.default is None)
        if expected and not re.fullmatch(part.argument or "", argument):
            raise ValueError(f"{self.name} {name}: {argument!r} is not a valid argument; write {part.usage}")
        return text

    def split(self, text: str) -> tuple[str, str]:
        """Name and argument of a checked text; the default argument, or an empty one, when none is written."""
        name, _, argument = self.check(text).partition(":")
        return name, argument or self._parts[name].default or ""

    def check_installed(self, text: str) -> None:
        """Raises :class:`ConfigError` when a package that the part needs is not installed."""
        part = self._parts[self.split(text)[0]]
        if part.requires is not None and find_spec(part.requires) is None:
            raise ConfigError(
                f"{self.name} {part.name} needs the Python package {part.requires}, which is not installed; "
                f'install the extra {part.extra}: pip install -c constraints.txt "dflib[{part.extra}]"'
            )

    def load(self, text: str) -> Any:
        """Imports the part's module and returns its ``PART``.

        Raises:
            ConfigError: a package that it needs is not installed.
        """
        name, _ = self.split(text)
        self.check_installed(text)
        return importlib.import_module(f"{self.package}.{name}").PART
