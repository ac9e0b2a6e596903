"""Matches what labels CSVs list with the videos of a chunk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dflib.sources.labels import Claim, Labels
from dflib.sources.names import below, normal, stem


@dataclass(frozen=True)
class LabelsCsv:
    """A labels CSV and the videos for which it speaks.

    Attributes:
        labels: what it lists.
        folder: its folder in the chunk; empty: the whole chunk.
        own: whether each of its lines must be a video of the chunk.
        above: path from its folder to the chunk, for a CSV above it.
        first: whether it takes precedence over the others, as that of the configuration does.
    """

    labels: Labels
    folder: str = ""
    own: bool = True
    above: str = ""
    first: bool = False


@dataclass
class Listed:
    """What the labels CSVs of a chunk say.

    Attributes:
        claims: of each video, by its name in the chunk; several where several CSVs list it, the innermost first.
        covered: names of all videos for which a CSV speaks, listed or not.
        owned: those for which a CSV speaks that lists the videos of this chunk alone.
        missing: name in the chunk, claim and problem of each line without a video.
        unused: lines of CSVs from elsewhere that match no video here.
    """

    claims: dict[str, list[Claim]] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    owned: set[str] = field(default_factory=set)
    missing: list[tuple[str, Claim, str]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def match(tables: Iterable[LabelsCsv], videos: Mapping[str, str], left_out: Mapping[str, str]) -> Listed:
    """Matches labels CSVs with videos.

    A line names a video by its path below the CSV's folder or by its file name, with or without its ending.  A bare
    file name that occurs in several folders matches none of them.  The original of a line is named in the same way.

    Args:
        tables: the labels CSVs of a chunk.
        videos: names of its videos, each with the path that identifies it below the data set.
        left_out: why other files of the chunk are no videos, by name.
    """
    listed = Listed()
    decided: set[str] = set()
    for table in sorted(tables, key=lambda table: (not table.first, -len(table.folder))):
        inside = [name for name in videos if _lies_in(name, table.folder)]
        listed.covered.update(inside)
        if table.own:
            listed.owned.update(inside)
        named = _Names(inside, table)
        unmatched = []
        for line, claim in table.labels.claims.items():
            files = named.find(line)
            claim = _with_original(claim, named, videos)
            if len(files) == 1:
                _add(listed.claims.setdefault(files[0], []), claim, files[0] in decided)
                if table.first:
                    decided.add(files[0])
            else:
                unmatched.append((line, claim, len(files)))
        others = _Names((name for name in left_out if unmatched and _lies_in(name, table.folder)), table)
        for line, claim, matches in sorted(unmatched, key=lambda item: item[0]):
            if matches:
                problem = f"AMBIGUOUS_NAME: {line} is listed in the labels file, and {matches} files have that name"
            elif found := others.find(line):
                reason = left_out[found[0]]
                problem = f"{reason}: {line} is listed in the labels file and exists, but was left out"
            elif not table.own:
                listed.unused.append(line)
                continue
            else:
                problem = f"MISSING_FILE: {line} is listed in the labels file but does not exist"
            listed.missing.append((f"{table.folder}/{line}" if table.folder else line, claim, problem))
    return listed


def _add(claims: list[Claim], claim: Claim, decided: bool) -> None:
    """Adds a claim; one that contradicts the one of the first table, by which it is decided, is a problem there."""
    if decided and claims[0].label and claim.label not in (None, claims[0].label):
        problem = f"LABEL_OVERRIDDEN: sources.labels says {claims[0].label}, and a labels.csv {claim.label}"
        claims[0] = replace(claims[0], problems=(*claims[0].problems, problem))
    else:
        claims.append(claim)


def _with_original(claim: Claim, named: "_Names", videos: Mapping[str, str]) -> Claim:
    """The claim with the path that identifies its original; as written, where that is no video of the chunk."""
    if claim.original is None:
        return claim
    files = named.find(claim.original)
    if len(files) == 1:
        return replace(claim, original=videos[files[0]])
    if files:
        problem = f"AMBIGUOUS_NAME: the original {claim.original} is the name of {len(files)} files"
        return replace(claim, problems=(*claim.problems, problem))
    return claim


def _lies_in(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")


class _Names:
    """The files that a name may mean: by path below the CSV's folder, else by file name; with or without ending."""

    def __init__(self, files: Iterable[str], table: LabelsCsv) -> None:
        self._paths: dict[str, list[str]] = {}
        self._names: dict[str, list[str]] = {}
        for file in files:
            path = normal(below(file, table.folder))
            path = f"{table.above}/{path}" if table.above else path
            name = path.rpartition("/")[2]
            for key in {path, stem(path)}:
                self._paths.setdefault(key, []).append(file)
            for key in {name, stem(name)}:
                self._names.setdefault(key, []).append(file)

    def find(self, line: str) -> list[str]:
        return self._paths.get(line) or self._names.get(line, [])
