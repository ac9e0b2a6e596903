"""The data that one process trains and validates on."""

from typing import Any

from dflib.errors import DflibError, TrainingError
from dflib.storage import Storage
from dflib.training.distribution import Distribution
from dflib.training.feed import Feed, SplitFiles
from dflib.training.spec import FitSpec

WHOLE = (0, 1)
"""The shard that is the whole split."""


class TrainingData:
    """The feeds of both splits, as datasets for ``Model.fit``.

    A worker trains on a shard of its own.  Each worker validates on the whole validation split, so all see the same
    figures after the same number of steps.
    """

    def __init__(self, spec: FitSpec, storage: Storage, distribution: Distribution) -> None:
        self._train = spec.settings()
        self._storage = storage
        self._distribution = distribution
        self._shards = {"train": (spec.worker, spec.workers), "validation": WHOLE}
        self._files = {split: SplitFiles(spec.files[split]) for split in self._shards}
        self._feeds = {split: self._feed(split, self._shards[split], self._train.cache_bytes) for split in self._shards}

    def check(self) -> None:
        """Checks the number of rows of each split, and that at least one image of each can be read.

        Raises:
            CountError: the footers of the files disagree with the training set.
            TrainingError: no image of a split can be read.
        """
        for split, feed in self._feeds.items():
            feed.check_counts()
            worker, workers = self._shards[split]
            # A pass without any image would be repeated for ever.
            if not any(True for _ in self._feed(split, (worker, workers), cache_bytes=0).examples().take(1)):
                raise TrainingError(
                    f"none of the {feed.rows} images of {split} for worker {worker} of {workers} can be read: see the "
                    "warnings above; with few faces, lower train.workers"
                )

    def training(self, first_row: int) -> Any:
        """Endless training batches for one call of ``fit``.

        Args:
            first_row: rows that this worker has trained on before.
        """
        # A new feed for each call of fit: it counts unreadable images by pass, and this call may begin within one.
        feed = self._feed("train", self._shards["train"], self._train.cache_bytes)
        self._feeds["train"] = feed
        batch_size, augment = self._distribution.dataset_batch_size, self._train.augment
        return self._distribution.distribute(lambda: feed.training_batches(batch_size, augment, first_row))

    def validation(self) -> Any:
        """Validation batches."""
        feed, batch_size = self._feeds["validation"], self._distribution.dataset_batch_size
        return self._distribution.distribute(lambda: feed.validation_batches(batch_size))

    @property
    def validation_steps(self) -> int | None:
        """Steps of a validation; None: as many as the dataset has."""
        distribution = self._distribution
        if distribution.split_by_keras:
            return None
        rows = distribution.dataset_batch_size * distribution.replicas // distribution.workers
        return -(-self._feeds["validation"].rows // rows)

    def examples(self) -> Feed:
        """A feed of the whole train split, also on a worker that trains on a shard."""
        return self._feed("train", WHOLE, cache_bytes=0)

    @property
    def unreadable(self) -> dict[str, int]:
        """Images by split that were left out of a pass because they cannot be decoded or cut."""
        return {split: feed.unreadable for split, feed in self._feeds.items()}

    @property
    def error(self) -> DflibError | None:
        """The error that ended a pass; TensorFlow reports only its text."""
        return next((feed.error for feed in self._feeds.values() if feed.error), None)

    def _feed(self, split: str, shard: tuple[int, int], cache_bytes: int) -> Feed:
        train = self._train
        return Feed(self._files[split], train.view, self._storage, train.seed, cache_bytes, shard)
