"""Searches files for what should not be in them any more: names as text, and images by their bytes."""

import functools
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from dflib.errors import MissingError
from dflib.storage import Entry, Storage, local_path
from dflib.tables.forgotten import whole_words

FILES_PER_TASK = 16


@dataclass(frozen=True)
class Wanted:
    """What is searched for.

    Attributes:
        names: found as whole words, in any file and in any column of text.
        images: size and SHA-256 of encoded images, found in binary columns.
    """

    names: tuple[str, ...]
    images: frozenset[tuple[int, str]] = frozenset()

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches any of the names as a whole word."""
        return whole_words(self.names)


@dataclass(frozen=True)
class Searched:
    """Result of a search: number and bytes of the files, and those that hold something of what was wanted."""

    files: int
    bytes: int
    found: tuple[str, ...]


def search(spark: SparkSession, storage: Storage, roots: Sequence[str], wanted: Wanted) -> Searched:
    """Reads all files below the roots, on the executors, and returns those that hold something of what is wanted.

    Parquet files are read as such, with all columns; other files as bytes.  What is compressed or encoded in another
    way is not found.
    """
    entries: dict[str, Entry] = {entry.uri: entry for root in roots for entry in every_file(storage, root)}
    slices = max(1, len(entries) // FILES_PER_TASK)
    uris = spark.sparkContext.parallelize(sorted(entries), slices)
    found = uris.mapPartitions(_holding(storage, wanted)).collect()
    return Searched(len(entries), sum(entry.size for entry in entries.values()), tuple(sorted(found)))


def every_file(storage: Storage, root: str) -> Iterator[Entry]:
    """All files below a folder, on a disk also those whose names begin with a dot."""
    folder = local_path(root)
    if folder is None:
        yield from storage.list_files(root)
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield storage.stat(f"file://{path}")


def _holding(storage: Storage, wanted: Wanted) -> Callable[[Iterable[str]], Iterator[str]]:
    def select(uris: Iterable[str]) -> Iterator[str]:
        return (uri for uri in uris if holds(storage, uri, wanted))

    return select


def holds(storage: Storage, uri: str, wanted: Wanted) -> bool:
    """Whether a file holds something of what is wanted; false for one that was deleted meanwhile."""
    try:
        content = storage.read(uri)
    except MissingError:
        return False
    if uri.endswith(".parquet"):
        try:
            return _parquet_holds(content, wanted)
        except pa.ArrowInvalid:
            pass  # damaged: searched as bytes
    # As Latin-1 no byte is lost; names that are not ASCII are compared as their UTF-8 bytes.
    pattern = re.compile(wanted.pattern.pattern.encode().decode("latin-1"), re.ASCII)
    return pattern.search(content.decode("latin-1")) is not None


def _parquet_holds(content: bytes, wanted: Wanted) -> bool:
    file = pq.ParquetFile(io.BytesIO(content))
    for group in range(file.num_row_groups):
        for column in file.read_row_group(group).columns:
            if any(_array_holds(chunk, wanted) for chunk in column.chunks):
                return True
    return False


def _array_holds(array: pa.Array, wanted: Wanted) -> bool:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _array_holds(array.dictionary, wanted)
    if pa.types.is_map(kind):
        return _array_holds(array.keys, wanted) or _array_holds(array.items, wanted)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _array_holds(array.flatten(), wanted)
    if pa.types.is_struct(kind):
        return any(_array_holds(field, wanted) for field in array.flatten())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return any(wanted.pattern.search(text) for text in pc.unique(array).to_pylist() if text)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        sizes = {size for size, _ in wanted.images}
        values = (value.as_buffer() for value in array if value.is_valid)
        return any(
            buffer.size in sizes and (buffer.size, hashlib.sha256(buffer).hexdigest()) in wanted.images
            for buffer in values
        )
    return False
