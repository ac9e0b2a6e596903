"""The errors that dflib raises deliberately.

Every message names the place (URI, row or key), the reason and the fix, and can be shown to a user without a stack
trace.
"""


class DflibError(Exception):
    """Base class of all errors that dflib raises deliberately; a job that fails with one exits with 1."""


class ConfigError(DflibError):
    """The configuration or the command line is wrong.

    When it is raised before Spark starts, nothing was started and the exit code is 2.
    """


class StorageError(DflibError):
    """An object or file could not be listed, read, written or deleted."""


class MissingError(StorageError):
    """There is no such object or file."""


class DeniedError(StorageError):
    """This process may not read or write an object or file.  Where it may not list either, there may be none."""


class CredentialsError(StorageError):
    """S3 rejects this process's credentials, or there are none: every further request would fail as well."""


class SourceError(DflibError):
    """A source (chunk, folder, metadata file, labels file) is missing or malformed."""


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
    """A table is missing, has the wrong schema, or a write did not commit what it should have."""


class CountError(DflibError):
    """Two counts that must agree do not. The job fails rather than continue with incomplete data."""


class ImageError(DflibError):
    """A stored face cannot be decoded or cut."""


class ClusterError(DflibError):
    """The cluster did not let the job in, or a task did not get a resource that it requires, such as its GPU."""


class ModelError(DflibError):
    """A model or a weights file cannot be used."""


class TrainingError(DflibError):
    """A training set cannot be written or a training run cannot go on."""


class LostWorkerError(TrainingError):
    """A training process ended without an error message; training can resume from the last checkpoint."""
