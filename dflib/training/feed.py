"""Batches of a training set: Parquet files read by Petastorm, as ``tf.data`` that a network is fitted on.

Each pass over the data opens new readers over the same sorted list of files: a pass is finite, and its rows are counted
against the number that the training set promises.  The training set was shuffled when it was written.  A pass shuffles
the order of its row groups and, in a buffer, its rows; both depend only on the seeds (including TensorFlow's) and the
number of the pass, so a training that resumes gets the batches that it would have had without the interruption.
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
NEXT_PASS = -1
"""In place of the number of a pass: the pass after the previous one."""

BUFFER_BYTES = 256 * 2**20
"""Bytes of images in the shuffle buffer."""

CROP_BYTES = 32 * 2**10
"""Upper estimate of a stored crop; measured: 8 to 29 KB."""


@dataclass(frozen=True)
class SplitFiles:
    """One split of a written training set.

    Attributes:
        files: URIs of its Parquet files, with the number of rows of each; they are read in the order of their URIs.
    """

    files: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(self.files.values())


@dataclass(frozen=True)
class RowRange:
    """Rows ``first`` (inclusive) to ``last`` (exclusive) of a file."""

    uri: str
    first: int
    last: int


class Feed:
    """Batches of one split, or of one worker's shard of it.

    Attributes:
        rows: number of rows of the shard.
        error: the error that ended a pass; TensorFlow reports only its text.
    """

    def __init__(
        self,
        split: SplitFiles,
        view: View,
        storage: Storage,
        seed: int,
        cache_bytes: int,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """
        Args:
            split: the files.
            view: what the network sees of a face.
            storage: reads the files.
            seed: of shuffling and augmentation.
            cache_bytes: if the cut images of all rows take no more than this, they stay in memory after the first pass.
            shard: index and number of shards. Shards are runs of consecutive rows in the order of the files, so that a
                worker reads only what it trains on, and differ by at most one row. (Petastorm's own shards are whole
                row groups: one worker could get twice as many rows as another.)
        """
        self._split = split
        self._view = view
        self._storage = storage
        self._seed = seed
        self._shard, self._shards = shard
        self._whole_files, self._ranges = _shard_files(split, *shard)
        self.rows = sum(split.files[uri] for uri in self._whole_files)
        self.rows += sum(piece.last - piece.first for piece in self._ranges)
        self._cached = self.rows * view.size**2 * 3 <= cache_bytes
        self._passes = 0
        self._lock = threading.Lock()
        self._unreadable: Counter[int] = Counter()
        self.error: DflibError | None = None

    @property
    def unreadable(self) -> int:
        """Images left out of a pass because they cannot be decoded or cut; the maximum over all passes."""
        return max(self._unreadable.values(), default=0)

    def check_counts(self) -> None:
        """Compares the row counts in the footers of the shard's files with those of the training set.

        Raises:
            CountError: they differ.
        """
        import pyarrow.parquet as pq

        for uri in (*self._whole_files, *(piece.uri for piece in self._ranges)):
            with storage_files.open_file(self._storage, uri) as file:
                rows = pq.ParquetFile(file).metadata.num_rows
            if rows != self._split.files[uri]:
                raise CountError(
                    f"{uri}: {rows} rows according to its footer, {self._split.files[uri]} according to the training "
                    "set; delete the training set's folder and train again"
                )

    def row_groups(self, number: int) -> Iterator[dict[str, Any]]:
        """The columns of each row group of one pass, in an order that the seed and the number of the pass determine.

        Raises:
            CountError: Petastorm did not deliver the rows that the training set promises.
        """
        if self._whole_files:
            yield from self._read(self._whole_files, self._seed + number)
        for piece in self._ranges:
            # Unshuffled, so that the position of each row in the file is known.
            position = 0
            for columns in self._read([piece.uri], None):
                size = len(columns["label"])
                wanted = slice(max(0, piece.first - position), max(0, min(size, piece.last - position)))
                position += size
                if wanted.start < wanted.stop:
                    yield {name: column[wanted] for name, column in columns.items()}

    def _read(self, files: list[str], seed: int | None) -> Iterator[dict[str, Any]]:
        """The columns of all row groups of some files; unshuffled if ``seed`` is None."""
        from petastorm import make_batch_reader

        delivered, promised = 0, sum(self._split.files[uri] for uri in files)
        # One reader thread: with more, row groups come in the order in which they are finished. It reads ahead while
        # tf.data decodes images, which takes most of the time.
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
                    raise CountError(
                        f"{files[0]}: the columns of a row group have different lengths: {sorted(lengths)}"
                    )
                delivered += lengths.pop()
                yield columns
        if delivered != promised:
            raise CountError(
                f"{files[0]} and {len(files) - 1} more files: Petastorm delivered {delivered} rows, the training set "
                f"promises {promised}"
            )

    def examples(self) -> Any:
        """``tf.data`` of single faces as the network sees them.

        Returns:
            Tuples of image (uint8 RGB ``[size, size, 3]``), label (int32, 1 fake) and weight (float32); one pass.
        """
        images = self._images(self._rows(NEXT_PASS))
        return images.cache() if self._cached else images

    def training_batches(self, batch_size: int, ranges: AugmentConfig, first_row: int = 0) -> Any:
        """``tf.data`` of shuffled and augmented batches, without an end.

        A batch may hold the last rows of one pass and the first rows of the next.

        Args:
            batch_size: rows in each batch.
            ranges: of the augmentation.
            first_row: rows, over all passes, that were trained on before. The batches are those that would follow
                them, provided that all images can be read. Skipped rows are read, but not decoded, unless images are
                cached.

        Returns:
            Tuples of images (float32 RGB 0 to 255 ``[n, size, size, 3]``), labels (int32 ``[n, 1]``) and weights
            (float32 ``[n]``).
        """
        import tensorflow as tf

        first_pass, skipped = divmod(first_row, self.rows)
        # The order of pass 0, because it is read only once.
        cached = self._images(self._rows(tf.constant(0, tf.int64))).cache() if self._cached else None
        row_bytes = self._view.size**2 * 3 if self._cached else CROP_BYTES
        buffer_rows = max(1, min(self.rows, BUFFER_BYTES // row_bytes))

        def rows_of_pass(number: Any) -> Any:
            rows = self._rows(number) if cached is None else cached
            rows = rows.shuffle(buffer_rows, seed=self._own(number) + self._seed, reshuffle_each_iteration=False)
            return rows.skip(tf.where(number == first_pass, tf.constant(skipped, tf.int64), tf.constant(0, tf.int64)))

        stream = tf.data.Dataset.counter(tf.constant(first_pass, tf.int64)).flat_map(rows_of_pass)
        batches = (stream if self._cached else self._images(stream)).batch(batch_size)

        def augmented(number: Any, columns: Any) -> Any:
            images, labels, weights = columns
            seed = tf.stack([tf.constant(self._seed, tf.int64), self._own(number)])
            parameters = augment.draw(tf.shape(images)[0], ranges, seed)
            return augment.warp(images, parameters), labels[:, None], weights

        numbers = tf.data.Dataset.counter(tf.constant(first_row // batch_size, tf.int64))
        numbered = tf.data.Dataset.zip((numbers, batches))
        return numbered.map(augmented, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
            tf.data.AUTOTUNE
        )

    def validation_batches(self, batch_size: int) -> Any:
        """``tf.data`` of batches of one pass, in order and without augmentation; shapes as in training."""
        import tensorflow as tf

        def as_floats(images: Any, labels: Any, weights: Any) -> Any:
            return tf.cast(images, tf.float32), labels[:, None], weights

        batches = self.examples().batch(batch_size)
        return batches.map(as_floats, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
            tf.data.AUTOTUNE
        )

    def _own(self, number: Any) -> Any:
        """The number of a pass or batch, made unique among workers: the same order and warps on all teach less."""
        return number * self._shards + self._shard

    def _rows(self, number: Any) -> Any:
        """``tf.data`` of the stored rows of a pass: image, box, landmarks, label, weight and number of the pass."""
        import tensorflow as tf

        return tf.data.Dataset.from_generator(
            self._generate,
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

    def _images(self, rows: Any) -> Any:
        """``tf.data`` of (image, label, weight) for the rows whose image can be decoded and cut."""
        import tensorflow as tf

        size = self._view.size

        def cut(stored: Any, box: Any, landmarks: Any, label: Any, weight: Any, number: Any) -> Any:
            image, readable = tf.numpy_function(self._cut, [stored, box, landmarks, number], [tf.uint8, tf.bool])
            return tf.ensure_shape(image, [size, size, 3]), label, weight, tf.ensure_shape(readable, [])

        images = rows.map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        images = images.filter(lambda image, label, weight, readable: readable)
        return images.map(lambda image, label, weight, readable: (image, label, weight))

    def _generate(self, number: Any) -> Iterator[tuple[Any, ...]]:
        """The row groups of a pass, for ``Dataset.from_generator``; keeps the error that ends it."""
        import numpy as np

        number = int(number)
        if number == NEXT_PASS:
            number, self._passes = self._passes, self._passes + 1
        try:
            for group in self.row_groups(number):
                label, weight, image, box, landmarks = (group[name] for name in COLUMNS)
                yield list(image), box, landmarks, label, weight, np.full(len(label), number)
        except DflibError as error:
            self.error = error
            raise

    def _cut(self, stored: bytes, box: Any, landmarks: Any, number: Any) -> tuple[Any, Any]:
        """The view of a stored crop, and whether it could be cut; an unreadable crop is counted and comes as zeros."""
        import numpy as np

        from dflib.models import view

        try:
            return view.cut_row(stored, box, landmarks, self._view), np.bool_(True)
        except ImageError as error:
            log.warning("an image is left out of training: %s", error)
            with self._lock:
                # By pass: the next pass may have begun before the count of this one is read.
                self._unreadable[int(number)] += 1
            return np.zeros((self._view.size, self._view.size, 3), np.uint8), np.bool_(False)
        except DflibError as error:
            self.error = error
            raise


def shard_bounds(rows: int, index: int, count: int) -> tuple[int, int]:
    """First row of a shard (inclusive) and its last (exclusive); shards differ by at most one row."""
    return rows * index // count, rows * (index + 1) // count


def _shard_files(split: SplitFiles, index: int, count: int) -> tuple[list[str], list[RowRange]]:
    """The files that belong to a shard as a whole, and its ranges of rows of the files that it shares with others."""
    first, last = shard_bounds(split.rows, index, count)
    whole_files, ranges, position = [], [], 0
    for uri, rows in sorted(split.files.items()):
        begin, end = max(first - position, 0), min(last - position, rows)
        position += rows
        if (begin, end) == (0, rows):
            whole_files.append(uri)
        elif begin < end:
            ranges.append(RowRange(uri, begin, end))
    return whole_files, ranges


def petastorm_url(uri: str) -> str:
    """The URI in the form that Petastorm takes: it parses URLs, but does not decode them.

    Raises:
        TrainingError: the path holds a character that ends the path of a URL.
    """
    if any(character in uri for character in "#?;"):
        raise TrainingError(f"{uri}: Petastorm cannot read paths with # ? or ; in them; choose another tables.root")
    return storage_files.file_url(uri)
