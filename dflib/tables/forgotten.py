"""Videos that were removed for good, which no later ingest may bring back."""

import hashlib
import html
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator

import markupsafe

from dflib import uris
from dflib.tables.schemas import FORGOTTEN
from dflib.tables.store import Tables

MIN_NAME = 6
"""Characters of a file name that stands for a video by itself, beside the id: shorter ones are parts of other names."""


def id_hash(video_id: str) -> str:
    """What is kept of the id of a forgotten video: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(video_id.encode()).hexdigest()


def alias(video_id: str) -> str:
    """Stands for a forgotten video where other rows name it, such as the source group of its fakes."""
    return f"forgotten-{id_hash(video_id)[:16]}"


def known(tables: Tables, video_ids: Iterable[str]) -> set[str]:
    """Those of the ids that belong to forgotten videos."""
    if not tables.exists(FORGOTTEN):
        return set()
    hashes = {row["id_hash"] for row in tables.read(FORGOTTEN).select("id_hash").collect()}
    return {video_id for video_id in video_ids if id_hash(video_id) in hashes}


def models(tables: Tables, video_ids: Iterable[str]) -> set[str]:
    """Models that were trained on those of the videos that were forgotten, as their tombstones say."""
    hashes = {id_hash(video_id) for video_id in video_ids}
    rows = tables.read(FORGOTTEN).select("id_hash", "models").collect()
    return {model for row in rows if row["id_hash"] in hashes for model in row["models"] or ()}


def names(video_ids: Iterable[str]) -> tuple[str, ...]:
    """The ids, and their file names where those are long enough to mean one video."""
    ids = set(video_ids)
    stems = {uris.name(video_id) for video_id in ids}
    return tuple(sorted(ids | {stem for stem in stems if len(stem) >= MIN_NAME and not stem.isdigit()}))


def whole_words(names: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the names where no ASCII letter, digit, underscore or hyphen stands before or after it.

    Also as JSON, HTML and URLs write them.  Without names nothing matches.
    """
    written = {form for name in names for form in _forms(name)}
    choices = "|".join(re.escape(form) for form in sorted(written, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{choices})(?![\w-])" if choices else r"(?!)", re.ASCII)


def _forms(name: str) -> Iterator[str]:
    """A name as text, JSON, HTML (also as templates of this project write it) and URLs have it."""
    yield name
    yield json.dumps(name)[1:-1]
    yield json.dumps(name, ensure_ascii=False)[1:-1]
    yield html.escape(name)
    yield str(markupsafe.escape(name))
    yield urllib.parse.quote(name)
