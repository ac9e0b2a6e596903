"""Damaged and forged metadata.json and labels.csv, seeded, and what ingest makes of them.

The truth is json's reading of a metadata file and pandas' of a CSV.  ``python -m tests.hostile.lists FOLDER`` reads
them all in one process and prints the counts as JSON.
"""

import functools
import io
import itertools
import json
import logging
import multiprocessing
import random
import sys
import unicodedata
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from dflib.runtime.progress import Progress
from dflib.sources.chunk import Chunk, code
from dflib.sources.discovery import find_chunks
from dflib.sources.reading import read_new
from dflib.storage import Storage
from tests.hostile.census import Census
from tests.sources.settings import sources

VIDEOS = ("a.mp4", "b.mp4", "sub/c.mkv", "é.mp4")
_WORDS = {"0": "REAL", "0.0": "REAL", "1": "FAKE", "1.0": "FAKE", "REAL": "REAL", "FAKE": "FAKE"}
_LARGEST = 15 << 20


def metadata(count: int, seed: int = 5) -> Iterator[bytes]:
    """Metadata files with damage, values of wrong types, and names of all kinds."""
    numbers = random.Random(seed)
    values = ("REAL", "FAKE", "real", None, 1, float("nan"), [], {}, "", "\ud800", 10**400, True, ["FAKE"])
    for _ in range(count):
        entries: dict[str, object] = {
            name: {"label": numbers.choice(values), "split": "train", "original": numbers.choice(("b.mp4", *values))}
            for name in numbers.sample([*VIDEOS, "../x", "/y.mp4", "gone.mp4", "", "a\\b", "x" * 2000], 5)
        }
        if numbers.random() < 0.2:
            entries[numbers.choice(VIDEOS)] = numbers.choice(values)
        content = bytearray(json.dumps(entries, ensure_ascii=numbers.random() < 0.5).encode("utf-8", "surrogatepass"))
        yield bytes(content if numbers.random() < 0.4 else _broken(content, numbers, b'{}[]",:\\u\x00\xff0'))


def tables(count: int, seed: int = 6) -> Iterator[bytes]:
    """Labels CSVs with damage, other headers, encodings and values."""
    numbers = random.Random(seed)
    labels = ("REAL", "FAKE", "real", "Fake", "0", "1", "1.0", "nan", "", "maybe", "0.5", "2")
    for _ in range(count):
        header = [numbers.choice(("video", "filename", "Name", "path", "clip")), "label", "original"]
        words = labels[: numbers.choice((4, 7, 10, 12))]
        lines = [
            [name, numbers.choice(words), numbers.choice(("", "nan", "b.mp4", "../x"))]
            for name in numbers.sample([*VIDEOS, "a", "gone.mp4", "c", '"q.mp4"'], numbers.randint(0, 5))
        ]
        order = numbers.sample(range(3), 3)
        mark = numbers.choice((",", ",", ",", ";", "\t"))
        text = "\n".join(mark.join(line[place] for place in order) for line in [header, *lines]) + "\n"
        content = bytearray(text.encode(numbers.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))))
        yield bytes(content if numbers.random() < 0.5 else _broken(content, numbers, b'",;\r\n\x00\xff\t '))


def _broken(content: bytearray, numbers: random.Random, marks: bytes) -> bytearray:
    for _ in range(numbers.randint(1, 4)):
        place = numbers.randrange(len(content) + 1)
        kind = numbers.randrange(4)
        if kind == 0:
            content[place:place] = bytes([numbers.choice(marks)])
        elif kind == 1 and place < len(content):
            content[place] = numbers.choice(marks)
        elif kind == 2:
            del content[place:]
        else:
            content[place:place] = content[place : place + 40]
    return content


def large() -> Iterator[tuple[str, bytes]]:
    """Files up to and beyond the limit on their size that cost as much as they can."""
    for piece in (b"[]", b"{}", b"0", b'""', b"[[]]", b'{"a":{}}', b"1e9", b'"abcdefgh"'):
        yield "metadata.json", b'{"a.mp4": [' + b",".join([piece] * (_LARGEST // (len(piece) + 1))) + b"]}"
    yield "metadata.json", b"[" * _LARGEST
    yield "metadata.json", b'{"a":' * (_LARGEST // 5)
    yield "metadata.json", b'{"a.mp4": {"label": "' + b"x" * _LARGEST + b'"}}'
    yield "metadata.json", b'{"a.mp4": ' + b"9" * _LARGEST + b"}"
    for value in ("0", '{"label": "REAL"}', '{"label": "REAL", "original": "b.mp4"}'):
        yield "metadata.json", ("{" + ",".join(f'"{n:x}.mp4": {value}' for n in range(199_999)) + "}").encode()
    yield "metadata.json", ("{" + ",".join(f'"{n:x}":0' for n in range(1_300_000)) + "}").encode()
    yield "metadata.json", b" " * (50 << 20)
    for line in (b"%x.mp4,REAL\n", b"%x,FAKE\n", b"../%x,FAKE\n", b"%x,0.5\n"):
        yield "labels.csv", b"video,label\n" + b"".join(line % n for n in range(199_999))
    yield "labels.csv", b"video,label\n" + b"".join(b"%x,1\n" % n for n in range(1_500_000))
    yield "labels.csv", b"video,label" + b",x" * (_LARGEST // 2) + b"\n"
    yield "labels.csv", b"video,label\n" + b'"' * _LARGEST
    yield "labels.csv", b"video,label\n" + b"\n" * _LARGEST
    yield "labels.csv", b"video,label\n" + b"," * _LARGEST
    yield "labels.csv", b"video,label\n" + b"a,REAL\n" * (50 << 17)


def read(folder: Path) -> Chunk | str:
    """What ingest makes of the folder: a chunk, or ``refused``."""
    settings, storage = sources(chunks=folder), Storage()
    incoming = read_new(storage, find_chunks(storage, settings), settings, Progress(io.StringIO()))
    if incoming.failed:
        return (
            "refused"
            if str(folder) in incoming.failed[0] and "cannot be read" not in incoming.failed[0]
            else str(incoming.failed)
        )
    (chunk,) = incoming.chunks
    if any(code(problem) == "BAD_METADATA" for problem in chunk.problems):
        return "refused" if all(video.label is None for video in chunk.videos) else "labels of a file that is refused"
    return chunk


def judge(truth: Executor, name: str, content: bytes, chunk: Chunk) -> str:
    """Compares the labels of the videos with those that json or pandas reads, in another process for their memory."""
    expected = truth.submit(_of_json if name == "metadata.json" else _of_csv, content).result()
    for video in chunk.videos:
        if video.member is None:
            continue
        known = [video.member, video.member.rpartition(".")[0]] if name == "labels.csv" else [video.member]
        if name == "labels.csv":
            known += [each.rpartition("/")[2] for each in known]
        # Two lines of one video, such as a and a.mp4, that say otherwise leave it without a label.
        labels = {expected[each] for each in known if expected.get(each)}
        label = labels.pop() if len(labels) == 1 else None
        if video.label != label:
            return f"{video.member} is {video.label} instead of {label}"
    return "right"


def _of_json(content: bytes) -> dict[str, object]:
    entries = json.loads(content.decode("utf-8-sig"))
    labels = {name: entry.get("label") if isinstance(entry, dict) else None for name, entry in entries.items()}
    return {
        unicodedata.normalize("NFC", name): label if isinstance(label, str) and label in ("REAL", "FAKE") else None
        for name, label in labels.items()
    }


def _of_csv(content: bytes) -> dict[str, object]:
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    frame.columns = frame.columns.str.strip().str.lower()
    column = next(each for each in ("video", "filename", "name", "path") if each in frame.columns)
    names, labels = frame[column].str.strip(), frame["label"].str.strip().str.upper()
    return {unicodedata.normalize("NFC", name): _WORDS.get(label) for name, label in zip(names, labels, strict=True)}


if __name__ == "__main__":
    logging.disable()
    census, folder = Census(), Path(sys.argv[1]) / "chunk"
    truth = ProcessPoolExecutor(1, multiprocessing.get_context("forkserver"))
    for video in VIDEOS:
        (folder / video).parent.mkdir(parents=True, exist_ok=True)
        (folder / video).write_bytes(video.encode())
    inputs = [("metadata.json", each) for each in metadata(200)] + [("labels.csv", each) for each in tables(300)]
    # The large ones first: the threads of hundreds of reads before them would leave memory of their own behind.
    for name, content in itertools.chain(large(), inputs):
        (folder / name).write_bytes(content)
        census.add(functools.partial(read, folder), functools.partial(judge, truth, name, content))
        (folder / name).unlink()
    print(census.json())
