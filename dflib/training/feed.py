"""Petastorm to tf.data: the rows of one split as batches that a network can be fitted on.

Each pass over the data opens a reader of its own over the same sorted file list, so that a pass is finite and its
rows can be counted against what the set promises.  The set was shuffled when it was written; a pass shuffles the
order of its row groups and, in a buffer, its rows.
"""

import io
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dflib import uris
from dflib.config import Augment, View
from dflib.errors import CountError, DflibError, ImageError, StorageError, TrainingError
from dflib.storage import Storage
from dflib.training import augment

log = logging.getLogger(__name__)

COLUMNS = ("label", "weight", "image", "box", "landmarks")
BUFFER_BYTES = 256 * 2**20
"""Bytes of cut pictures in the shuffle buffer."""


@dataclass(frozen=True)
class Part:
    """One split of a written set: the URIs of its Parquet files, sorted, and the rows that they hold."""

    files: Sequence[str]
    rows: int


class Feed:
    """Batches of one split for ``fit``.

    Attributes:
        problem: the error that ended a pass; tf.data gives back no more than its text.
    """

    def __init__(
        self,
        part: Part,
        view: View,
        storage: Storage,
        seed: int,
        cache_bytes: int,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """
        Args:
            cache_bytes: up to this size the cut pictures of all rows are kept in memory after the first pass.
            share: which of how many workers gets every how-manieth row.  All of them read all rows, which costs
                little beside decoding, so that each pass is counted, shares differ by one row at most, and what the
                workers do together in a step is what one of them would do alone.
        """
        self._part = part
        self._view = view
        self._storage = storage
        self._seed = seed
        self._share = share
        self._cached = part.rows // share[1] * view.size**2 * 3 <= cache_bytes
        self._passes = 0
        self._lock = threading.Lock()
        self._unreadable: Counter[int] = Counter()
        self.problem: DflibError | None = None

    @property
    def unreadable(self) -> int:
        """Pictures left out of a pass because they can't be decoded or cut."""
        return max(self._unreadable.values(), default=0)

    def check(self) -> None:
        """Counts the rows that the footers of the files promise.

        Raises:
            CountError: they are not what the set promises.
        """
        import pyarrow.parquet as pq

        promised = 0
        for uri in self._part.files:
            with _open(uri, self._storage) as file:
                promised += pq.ParquetFile(file).metadata.num_rows
        if promised != self._part.rows:
            raise CountError(
                f"{self._part.files[0]} and {len(self._part.files) - 1} more files: their footers promise {promised} "
                f"rows, the training set {self._part.rows}; delete its folder and train again"
            )

    def row_groups(self) -> Iterator[dict[str, Any]]:
        """One pass: the columns of each row group, in an order given by the seed and the number of the pass.

        Raises:
            CountError: Petastorm did not deliver the rows that the set promises.
        """
        from petastorm import make_batch_reader

        seed, delivered = self._seed + self._passes, 0
        self._passes += 1
        # One worker: with more, the order of row groups would be that of their finishing. It reads ahead while
        # tf.data decodes, which is what takes the time.
        with make_batch_reader(
            [petastorm_url(uri) for uri in self._part.files],
            schema_fields=[f"^{name}$" for name in COLUMNS],
            workers_count=1,
            results_queue_size=2,
            shuffle_row_groups=True,
            seed=seed,
            num_epochs=1,
            filesystem=_filesystem(self._part.files[0], self._storage),
        ) as reader:
            for group in reader:
                columns = {name: getattr(group, name) for name in COLUMNS}
                lengths = {len(column) for column in columns.values()}
                if len(lengths) != 1:
                    raise CountError(f"{self._part.files[0]}: a row group came with columns of {sorted(lengths)} rows")
                delivered += lengths.pop()
                yield columns
        if delivered != self._part.rows:
            raise CountError(
                f"{self._part.files[0]} and {len(self._part.files) - 1} more files: Petastorm delivered {delivered} "
                f"rows, the training set promises {self._part.rows}"
            )

    def examples(self) -> Any:
        """tf.data of (picture uint8 RGB [size, size, 3], label int32, weight float32), as the network sees them."""
        import tensorflow as tf

        size = self._view.size
        rows = tf.data.Dataset.from_generator(
            self._kept,
            output_signature=(
                tf.TensorSpec([None], tf.string),
                tf.TensorSpec([None, 4], tf.float64),
                tf.TensorSpec([None, 10], tf.float64),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([None], tf.int64),
            ),
        ).unbatch()
        place, of = self._share
        if of > 1:
            rows = rows.shard(of, place)

        def cut(image: Any, box: Any, landmarks: Any, label: Any, weight: Any, number: Any) -> Any:
            picture, whole = tf.numpy_function(self._cut, [image, box, landmarks, number], [tf.uint8, tf.bool])
            return tf.ensure_shape(picture, [size, size, 3]), label, weight, tf.ensure_shape(whole, [])

        found = rows.map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        found = found.filter(lambda picture, label, weight, whole: whole)
        found = found.map(lambda picture, label, weight, whole: (picture, label, weight))
        return found.cache() if self._cached else found

    def train(self, batch: int, ranges: Augment, repeat: bool = False) -> Any:
        """tf.data of shuffled, augmented batches: float32 RGB 0 to 255, label [n, 1], weight [n].

        With ``repeat`` pass follows pass without an end, and a batch may hold the last rows of one and the first of
        the next.
        """
        import tensorflow as tf

        buffer = max(1, min(self._part.rows, BUFFER_BYTES // (self._view.size**2 * 3)))
        seeds = tf.data.Dataset.random(seed=self._seed, rerandomize_each_iteration=True).batch(2)
        rows = self.examples().shuffle(buffer, seed=self._seed, reshuffle_each_iteration=True)
        batches = (rows.repeat() if repeat else rows).batch(batch)

        def warped(seed: Any, columns: Any) -> Any:
            pictures, labels, weights = columns
            parameters = augment.draw(tf.shape(pictures)[0], ranges, seed)
            return augment.warp(pictures, parameters), labels[:, None], weights

        both = tf.data.Dataset.zip((seeds, batches))
        return both.map(warped, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def judge(self, batch: int) -> Any:
        """tf.data of batches as they are, for validation: float32 RGB 0 to 255, label [n, 1], weight [n]."""
        import tensorflow as tf

        def plain(pictures: Any, labels: Any, weights: Any) -> Any:
            return tf.cast(pictures, tf.float32), labels[:, None], weights

        batches = self.examples().batch(batch)
        return batches.map(plain, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def _kept(self) -> Iterator[tuple[Any, ...]]:
        import numpy as np

        try:
            for group in self.row_groups():
                label, weight, image, box, landmarks = (group[name] for name in COLUMNS)
                yield list(image), box, landmarks, label, weight, np.full(len(label), self._passes)
        except DflibError as error:
            self.problem = error
            raise

    def _cut(self, image: bytes, box: Any, landmarks: Any, number: Any) -> tuple[Any, Any]:
        import numpy as np

        from dflib.models import view

        try:
            return view.cut_row(image, box, landmarks, self._view), np.bool_(True)
        except ImageError as error:
            log.warning("a picture is left out of training: %s", error)
            with self._lock:
                # By pass: the next one may have begun before this one's figure is asked for.
                self._unreadable[int(number)] += 1
            return np.zeros((self._view.size, self._view.size, 3), np.uint8), np.bool_(False)
        except DflibError as error:
            self.problem = error
            raise


def petastorm_url(uri: str) -> str:
    """The URI as Petastorm takes it: it parses URLs but never decodes them.

    It asks for s3fs as soon as it sees ``s3://``, also when it is given a file system to read with; so an object
    is named by a path below that file system's root.

    Raises:
        TrainingError: the path holds a mark that cuts a URL off.
    """
    if any(mark in uri for mark in "#?;"):
        raise TrainingError(f"{uri}: Petastorm can't read paths with # ? or ; in them; choose another tables.root")
    return uri if uris.is_local(uri) else "file:///" + "/".join(uris.bucket_and_key(uri))


def _open(uri: str, storage: Storage) -> Any:
    files = _filesystem(uri, storage)
    return uris.local_path(uri).open("rb") if files is None else files.open("/".join(uris.bucket_and_key(uri)))


def _filesystem(uri: str, storage: Storage) -> Any:
    """What Petastorm reads with: its own choice (None) for local files; ``storage`` for ``s3://``.

    Petastorm's own way to S3 ends in an error of pyarrow 14, and its ``filesystem=`` takes only the interface
    that pyarrow had before ``pyarrow.fs``.  By ``storage``, and not by pyarrow's own client, so that credentials,
    endpoint and tries are those of everything else.
    """
    if uris.is_local(uri):
        return None
    from pyarrow import filesystem

    class Files(filesystem.FileSystem):  # type: ignore[misc]
        """The few calls that reading a list of files makes; paths are /bucket/key."""

        def open(self, path: str, mode: str = "rb") -> Any:
            return _Ranges(storage, f"s3://{path.lstrip('/')}")

        def isfile(self, path: str) -> bool:
            try:
                storage.stat(f"s3://{path.lstrip('/')}")
            except StorageError:
                return False
            return True

        exists = isfile

        def isdir(self, path: str) -> bool:
            return any(True for _ in storage.list_files(f"s3://{path.lstrip('/')}"))

    return Files()


class _Ranges(io.RawIOBase):
    """An object as a file to seek and read in: a request a read, which for Parquet is one a column and row group."""

    def __init__(self, storage: Storage, uri: str) -> None:
        super().__init__()
        self._storage, self._uri, self._place = storage, uri, 0
        self._size = storage.stat(uri).size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence] + offset)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._place)
        content = self._storage.read_range(
            self._uri, self._place, left if size is None or size < 0 else min(size, left)
        )
        self._place += len(content)
        return content
