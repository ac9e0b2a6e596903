"""Petastorm to tf.data: the rows of one split as batches that a network can be fitted on.

Each pass over the data opens readers of its own over the same sorted file list, so that a pass is finite and its
rows can be counted against what the set promises.  The set was shuffled when it was written; a pass shuffles the
order of its row groups and, in a buffer, its rows, by seeds (TensorFlow's own is one) and its number alone: a training
that goes on after a kill gets the batches that it would have got.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dflib.config import AugmentConfig, View
from dflib.errors import CountError, DflibError, ImageError, TrainingError
from dflib.storage import Storage
from dflib.storage import files as storage_files
from dflib.training import augment

log = logging.getLogger(__name__)

COLUMNS = ("label", "weight", "image", "box", "landmarks")
NEXT = -1
"""In place of a pass's number: the one after the one before."""
BUFFER_BYTES = 256 * 2**20
"""Bytes of pictures in the shuffle buffer."""
FACE_BYTES = 32 * 2**10
"""Of a face crop as it is stored, with room: they take 8 to 29 KB."""


@dataclass(frozen=True)
class Part:
    """One split of a written set: the rows of each of its Parquet files by URI; they are read in the order of names."""

    files: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(self.files.values())


@dataclass(frozen=True)
class Slice:
    """Rows ``first`` to before ``last`` of a file."""

    uri: str
    first: int
    last: int


class Feed:
    """Batches of one split, or of a worker's share of it, for ``fit``.

    Attributes:
        rows: of the share.
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
            share: which of how many shares.  They are runs of rows in the order of the files, so that a worker reads
                what it trains on, and differ by one row at most.  (Petastorm's own shards are whole row groups, of
                which one worker may have twice as many as another.)
        """
        self._part = part
        self._view = view
        self._storage = storage
        self._seed = seed
        self._place, self._of = share
        self._whole, self._cut_off = _share(part, *share)
        self.rows = sum(part.files[uri] for uri in self._whole) + sum(one.last - one.first for one in self._cut_off)
        self._cached = self.rows * view.size**2 * 3 <= cache_bytes
        self._passes = 0
        self._lock = threading.Lock()
        self._unreadable: Counter[int] = Counter()
        self.problem: DflibError | None = None

    @property
    def unreadable(self) -> int:
        """Pictures left out of a pass because they can't be decoded or cut."""
        return max(self._unreadable.values(), default=0)

    def check(self) -> None:
        """Counts the rows that the footers of the share's files promise.

        Raises:
            CountError: they are not what the set promises.
        """
        import pyarrow.parquet as pq

        for uri in (*self._whole, *(one.uri for one in self._cut_off)):
            with storage_files.open_file(self._storage, uri) as file:
                promised = pq.ParquetFile(file).metadata.num_rows
            if promised != self._part.files[uri]:
                raise CountError(
                    f"{uri}: its footer promises {promised} rows, the training set {self._part.files[uri]}; delete its "
                    "folder and train again"
                )

    def row_groups(self, number: int) -> Iterator[dict[str, Any]]:
        """One pass: the columns of each row group, in an order given by the seed and the number of the pass.

        Raises:
            CountError: Petastorm did not deliver the rows that the set promises.
        """
        if self._whole:
            yield from self._read(self._whole, self._seed + number)
        for one in self._cut_off:
            # In their order, so that a row's place in the file is known.
            at = 0
            for columns in self._read([one.uri], None):
                size = len(columns["label"])
                own = slice(max(0, one.first - at), max(0, min(size, one.last - at)))
                at += size
                if own.start < own.stop:
                    yield {name: column[own] for name, column in columns.items()}

    def _read(self, files: list[str], seed: int | None) -> Iterator[dict[str, Any]]:
        """All row groups of some files, in their order without a seed."""
        from petastorm import make_batch_reader

        delivered, promised = 0, sum(self._part.files[uri] for uri in files)
        # One worker: with more, the order of row groups would be that of their finishing. It reads ahead while
        # tf.data decodes, which is what takes the time.
        with make_batch_reader(
            [petastorm_url(uri) for uri in files],
            schema_fields=[f"^{name}$" for name in COLUMNS],
            workers_count=1,
            results_queue_size=2,
            shuffle_row_groups=seed is not None,
            seed=seed,
            num_epochs=1,
            filesystem=storage_files.filesystem(self._storage, files[0]),
        ) as reader:
            for group in reader:
                columns = {name: getattr(group, name) for name in COLUMNS}
                lengths = {len(column) for column in columns.values()}
                if len(lengths) != 1:
                    raise CountError(f"{files[0]}: a row group came with columns of {sorted(lengths)} rows")
                delivered += lengths.pop()
                yield columns
        if delivered != promised:
            raise CountError(
                f"{files[0]} and {len(files) - 1} more files: Petastorm delivered {delivered} rows, the training set "
                f"promises {promised}"
            )

    def examples(self) -> Any:
        """tf.data of (picture uint8 RGB [size, size, 3], label int32, weight float32), as the network sees them."""
        found = self._pictures(self._rows(NEXT))
        return found.cache() if self._cached else found

    def _rows(self, number: Any) -> Any:
        """tf.data of the stored rows of a pass."""
        import tensorflow as tf

        return tf.data.Dataset.from_generator(
            self._kept,
            args=(number,),
            output_signature=(
                tf.TensorSpec([None], tf.string),
                tf.TensorSpec([None, 4], tf.float64),
                tf.TensorSpec([None, 10], tf.float64),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([None], tf.int64),
            ),
        ).unbatch()

    def _pictures(self, rows: Any) -> Any:
        """tf.data of (picture, label, weight) of those rows whose picture can be decoded and cut."""
        import tensorflow as tf

        size = self._view.size

        def cut(image: Any, box: Any, landmarks: Any, label: Any, weight: Any, number: Any) -> Any:
            picture, whole = tf.numpy_function(self._cut, [image, box, landmarks, number], [tf.uint8, tf.bool])
            return tf.ensure_shape(picture, [size, size, 3]), label, weight, tf.ensure_shape(whole, [])

        found = rows.map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        found = found.filter(lambda picture, label, weight, whole: whole)
        return found.map(lambda picture, label, weight, whole: (picture, label, weight))

    def train(self, batch: int, ranges: AugmentConfig, begin: int = 0) -> Any:
        """tf.data of shuffled, augmented batches: float32 RGB 0 to 255, label [n, 1], weight [n].

        Pass follows pass without an end, and a batch may hold the last rows of one and the first of the next.

        Args:
            begin: rows that were trained on before; the batches are those that would follow them, as long as all
                pictures can be read. Of what is left out only the stored rows are read and nothing is decoded, unless
                pictures are kept in memory.
        """
        import tensorflow as tf

        first, left_out = divmod(begin, self.rows)
        # In the order of the first pass always, since it is read once.
        kept = self._pictures(self._rows(tf.constant(0, tf.int64))).cache() if self._cached else None
        size = self._view.size**2 * 3 if self._cached else FACE_BYTES
        buffer = max(1, min(self.rows, BUFFER_BYTES // size))

        def of_pass(number: Any) -> Any:
            rows = self._rows(number) if kept is None else kept
            rows = rows.shuffle(buffer, seed=self._own(number) + self._seed, reshuffle_each_iteration=False)
            return rows.skip(tf.where(number == first, tf.constant(left_out, tf.int64), tf.constant(0, tf.int64)))

        stream = tf.data.Dataset.counter(tf.constant(first, tf.int64)).flat_map(of_pass)
        batches = (stream if self._cached else self._pictures(stream)).batch(batch)

        def warped(number: Any, columns: Any) -> Any:
            pictures, labels, weights = columns
            seed = tf.stack([tf.constant(self._seed, tf.int64), self._own(number)])
            parameters = augment.draw(tf.shape(pictures)[0], ranges, seed)
            return augment.warp(pictures, parameters), labels[:, None], weights

        numbered = tf.data.Dataset.zip((tf.data.Dataset.counter(tf.constant(begin // batch, tf.int64)), batches))
        return numbered.map(warped, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def _own(self, number: Any) -> Any:
        """Of a pass or batch, another number for each worker: with one order and one set of warps less is learnt."""
        return number * self._of + self._place

    def judge(self, batch: int) -> Any:
        """tf.data of batches as they are, for validation: float32 RGB 0 to 255, label [n, 1], weight [n]."""
        import tensorflow as tf

        def plain(pictures: Any, labels: Any, weights: Any) -> Any:
            return tf.cast(pictures, tf.float32), labels[:, None], weights

        batches = self.examples().batch(batch)
        return batches.map(plain, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def _kept(self, number: Any) -> Iterator[tuple[Any, ...]]:
        import numpy as np

        number = int(number)
        if number == NEXT:
            number, self._passes = self._passes, self._passes + 1
        try:
            for group in self.row_groups(number):
                label, weight, image, box, landmarks = (group[name] for name in COLUMNS)
                yield list(image), box, landmarks, label, weight, np.full(len(label), number)
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


def bounds(rows: int, place: int, of: int) -> tuple[int, int]:
    """The first row of a share and the one after its last; shares differ by one row at most."""
    return rows * place // of, rows * (place + 1) // of


def _share(part: Part, place: int, of: int) -> tuple[list[str], list[Slice]]:
    """The files that belong to a share as a whole, and its slices of those that it has in common with others."""
    first, last = bounds(part.rows, place, of)
    whole, cut_off, at = [], [], 0
    for uri, rows in sorted(part.files.items()):
        begin, end = max(first - at, 0), min(last - at, rows)
        at += rows
        if (begin, end) == (0, rows):
            whole.append(uri)
        elif begin < end:
            cut_off.append(Slice(uri, begin, end))
    return whole, cut_off


def petastorm_url(uri: str) -> str:
    """The URI as Petastorm takes it: it parses URLs but never decodes them.

    Raises:
        TrainingError: the path holds a character that ends the path of a URL.
    """
    if any(mark in uri for mark in "#?;"):
        raise TrainingError(f"{uri}: Petastorm can't read paths with # ? or ; in them; choose another tables.root")
    return storage_files.file_url(uri)
