"""The errors that dflib raises on purpose.

Every message names the place (URI, row or key), the reason and the mend, and is fit to be
shown to a user without a stack trace.
"""


class DflibError(Exception):
    """Base of all errors that dflib raises on purpose; a job answers it with exit code 1."""


class ConfigError(DflibError):
    """The configuration or the command line is wrong; nothing has been started (exit code 2)."""


class StorageError(DflibError):
    """An object or file could not be listed, read or written."""


class CredentialsError(StorageError):
    """S3 takes none of this process's credentials, or there are none: whatever is asked for next fails as well."""


class SourceError(DflibError):
    """A source (chunk, folder, metadata file, labels file) is not what it should be."""


class VideoError(DflibError):
    """One video cannot be used.

    Attributes:
        reason: a short upper-case code that goes into ``extractions.reason``, such as ``UNREADABLE``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class TableError(DflibError):
    """A table is missing, has the wrong schema, or a write did not do what it promised."""


class CountError(DflibError):
    """Two counts that must agree do not; the job fails rather than report on what is left."""


class ImageError(DflibError):
    """A stored face cannot be decoded or cut."""


class ClusterError(DflibError):
    """A task was not given what it was promised, such as its GPU."""


class ModelError(DflibError):
    """A model or a weights file cannot be used."""


class TrainingError(DflibError):
    """A training set cannot be written or a training run cannot go on."""


class LostWorkerError(TrainingError):
    """A process that trains ended without saying why; the training can go on at its last epoch."""
