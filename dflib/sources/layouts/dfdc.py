"""The Deepfake Detection Challenge: each chunk is a folder of videos with a ``metadata.json`` that labels them."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from dflib.errors import SourceError
from dflib.sources.labels import UNLISTED, Claim, Labels, claim_of
from dflib.sources.layouts import Clip, Layout, SideFiles, absent, listed
from dflib.sources.names import below, normal, shown, stem, unsafe

NAME = "metadata.json"


def parse(content: bytes, where: str, max_entries: int) -> Labels:
    """Reads ``{"<file>": {"label": "REAL"|"FAKE", "split": …, "original": "<file>"|null}, …}``.

    Raises:
        SourceError: the file is not JSON, is not an object, contains a key twice, or has more than ``max_entries``.
    """
    try:
        entries = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except RecursionError:
        raise SourceError(f"{where}: nested too deeply for a metadata file") from None
    except ValueError as error:
        raise SourceError(f"{where}: not readable as JSON metadata: {str(error)[:200]}") from None
    if not isinstance(entries, dict):
        raise SourceError(f"{where}: contains a {type(entries).__name__} where an object of videos is expected")
    if len(entries) > max_entries:
        raise SourceError(f"{where}: {len(entries)} entries; the limit is sources.max_metadata_entries={max_entries}")
    labels = Labels({})
    for name, entry in entries.items():
        reason = unsafe(name)
        if reason:
            labels.problems.append(f"UNSAFE_NAME: {shown(name)} in {where} {reason}")
            continue
        if normal(name) in labels.claims:
            raise SourceError(f"{where}: {shown(name)} occurs twice, in two spellings of Unicode; keep one entry")
        if isinstance(entry, dict):
            labels.claims[normal(name)] = claim_of(entry)
        else:
            problem = f"BAD_METADATA: the entry is a {type(entry).__name__}, not an object"
            labels.claims[normal(name)] = Claim(None, problems=(problem,))
    return labels


def describe(path: str, side_files: SideFiles) -> Clip | None:
    """A video below a folder with metadata; its identifier leaves out the chunk's folder, so that chunks may move."""
    folder = side_files.nearest(path)
    if folder is None:
        return None
    name = below(path, folder)
    labels = side_files.by_folder[folder]
    if labels is None:
        return Clip(stem(name))
    claim = labels.claims.get(name)
    return listed(name, claim) if claim else listed(name, Claim(None), UNLISTED)


def missing(side_files: SideFiles, videos: Collection[str], left_out: Mapping[str, str]) -> list[Clip]:
    """The entries of metadata files that have no video, in the order of their names."""
    found = []
    for folder, labels in side_files.by_folder.items():
        for name, claim in sorted(labels.claims.items() if labels else ()):
            path = f"{folder}/{name}" if folder else name
            # A metadata file further down describes the videos of its own folder alone.
            if path not in videos or side_files.nearest(path) != folder:
                problem = absent(name, f"{folder or 'the chunk'}/{NAME}", left_out.get(path))
                found.append(listed(name, claim, problem))
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{shown(repeated)} occurs twice")
    return entries


PART = Layout(describe, side_file=NAME, parse=parse, own_chunk=True, missing=missing)
