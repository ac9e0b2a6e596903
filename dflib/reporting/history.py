"""Pages of one report: where they lie, which run made them, and which runs came before.

The newest page of a model and extractor is always ``<name>.html``.  Every run that changes it keeps a copy, with the
further parts of the table of verdicts, in the folder ``<name>/``:

- ``<name>/<run_id>.html``: the page of that run, and
- ``<name>/<run_id>.part-2.html`` and so on.

A run whose page would hold nothing new writes nothing: date, run and code version on a page are those of the run that
last changed something.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from dflib import uris
from dflib.errors import MissingError
from dflib.storage import Storage

log = logging.getLogger(__name__)

_MARK = re.compile(rb'<meta name="dflib-report" content="([0-9a-f]{64}) ([^"<>]*)">')
# The mark stands at the beginning of a page, after the content security policy.
_MARK_WITHIN = 4096
_PART = re.compile(r"\.part-\d+\.html$")
_STAMP = re.compile(r"\d{8}T\d{12}(?=-)")


@dataclass(frozen=True)
class Made:
    """The run that makes a page.

    Attributes:
        run_id: of the run.
        code_version: of dflib.
        at: when (UTC).
    """

    run_id: str
    code_version: str
    at: datetime


@dataclass(frozen=True)
class Link:
    """A page of an earlier run: its relative address, and its date or name."""

    href: str
    text: str


@dataclass(frozen=True)
class Place:
    """Where a page stands, for what it says of itself and for its links.

    Attributes:
        made: the run; None while only the content is compared.
        mark: what :func:`publish` recognises the content by; empty while only the content is compared.
        folder: relative address of the folder of all runs: ``<name>/``, or empty for pages inside it.
        newest: relative address of the newest page.
        earlier: pages of earlier runs, newest first.
    """

    made: Made | None = None
    mark: str = ""
    folder: str = ""
    newest: str = ""
    earlier: tuple[Link, ...] = ()

    def part(self, number: int) -> str:
        """Relative address of a part of the table of verdicts; number 1 is the page itself."""
        run_id = self.made.run_id if self.made else ""
        return f"{self.folder}{quote(_file_name(run_id, number))}"


Render = Callable[[Place], Iterable[str]]
"""Renders the pages of a report for a place, one by one: the page itself, then the further parts."""


def publish(storage: Storage, root: str, name: str, made: Made, render: Render) -> bool:
    """Writes the pages if their content differs from what is there; returns whether it did.

    The newest page is written last, so that a run that is killed leaves the one before it, with links that hold.

    Args:
        storage: where to.
        root: URI of the folder.
        name: of the page, without ``.html``.
        made: the run.
        render: makes the same content for the same place.
    """
    newest, folder = uris.join(root, f"{name}.html"), uris.join(root, name)
    content = list(render(Place()))
    digest = hashlib.sha256("\0".join(content).encode()).hexdigest()
    present = {uris.name(entry.uri) for entry in storage.list_files(folder)}
    found = _mark_of(storage, newest)
    if found is not None:
        run_id = found[1]
        if found[0] == digest and {_file_name(run_id, number + 1) for number in range(len(content))} <= present:
            return False
        if not run_id:
            present.add(_keep_unmarked(storage, newest, folder))
    earlier = _runs(present, made.run_id)
    at_root = Place(
        made,
        f"{digest} {made.run_id}",
        folder=f"{quote(name)}/",
        newest=f"{quote(name)}.html",
        earlier=tuple(Link(f"{quote(name)}/{quote(file)}", _words(file)) for file in earlier),
    )
    in_folder = Place(
        made,
        at_root.mark,
        newest=f"../{at_root.newest}",
        earlier=tuple(Link(quote(file), _words(file)) for file in earlier),
    )
    for number, html in enumerate(render(in_folder), 1):
        storage.write(uris.join(folder, _file_name(made.run_id, number)), html.encode())
    storage.write(newest, next(iter(render(at_root))).encode())
    return True


def this_run(run_id: str, code_version: str) -> Made:
    """The run, now."""
    return Made(run_id, code_version, datetime.now(UTC))


def _file_name(run_id: str, number: int) -> str:
    return f"{run_id}.html" if number == 1 else f"{run_id}.part-{number}.html"


def _mark_of(storage: Storage, uri: str) -> tuple[str, str] | None:
    """Digest and run of a page; both empty for a page without a mark, None when there is no page."""
    try:
        found = _MARK.search(storage.read_range(uri, 0, _MARK_WITHIN))
    except MissingError:
        log.info("%s is new", uri)
        return None
    return (found[1].decode(), found[2].decode()) if found else ("", "")


def _keep_unmarked(storage: Storage, newest: str, folder: str) -> str:
    """Keeps a page that a version without marks has made, and returns its name in the folder."""
    content = storage.read(newest)
    name = f"undated-{hashlib.sha256(content).hexdigest()[:12]}.html"
    storage.write(uris.join(folder, name), content)
    return name


def _runs(present: Iterable[str], run_id: str) -> list[str]:
    """File names of the pages of other runs, newest first, those without a date last."""
    pages = {name for name in present if name.endswith(".html") and not _PART.search(name)}
    pages.discard(_file_name(run_id, 1))
    return sorted(pages, key=lambda name: (bool(_STAMP.match(name)), name), reverse=True)


def _words(file: str) -> str:
    """A page of an earlier run by its date, or by its name where that holds none."""
    stamp = _STAMP.match(file)
    if stamp is None:
        return file.removesuffix(".html")
    return f"{datetime.strptime(stamp[0], '%Y%m%dT%H%M%S%f'):%Y-%m-%d %H:%M:%S} UTC"
