"""What a storage scheme can do: the interface behind every URI, and the one place that chooses by scheme.

A scheme is a module of :mod:`dflib.storage.schemes` that defines ``PART``, an object of a subclass of :class:`Scheme`;
:data:`dflib.parts.catalog.SCHEMES` lists them.  Code outside that package never asks which scheme a URI has.  It asks
for an ability, such as :meth:`Scheme.local_path` or :attr:`Scheme.conditional_writes`.

fsspec, which Petastorm installs, does not carry this interface.  Its API has no write on condition of an ETag (only
"create", as an existence check followed by a write), on which leases depend, and it reports neither requests nor
retries, which every run records.  Its S3 file system, s3fs, brings aiobotocore, which allows only a narrow range of
botocore versions and so would dictate the version of boto3; credentials would be configured and renewed by a second
client beside boto3.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dflib.errors import ConfigError, StorageError
from dflib.parts.catalog import SCHEMES
from dflib.storage.counters import Counters

if TYPE_CHECKING:
    from dflib.config import Config


NO_FILE, UNREADABLE = -1, -2
"""Sizes of what is no file, such as a link that leads nowhere, and of a folder that cannot be read."""


@dataclass(frozen=True)
class Entry:
    """One object or file.

    Attributes:
        uri: its URI.
        size: bytes; or one of the sizes above, from :meth:`dflib.storage.Storage.list_everything` alone.
        etag: changes whenever the content does.
    """

    uri: str
    size: int
    etag: str


@dataclass(frozen=True)
class Versioned:
    """The content of an object together with its version.

    Attributes:
        content: bytes.
        etag: version of the content, for :meth:`Scheme.write_if`.
        age: seconds since it was written, by the server's clock alone, to the second.
    """

    content: bytes
    etag: str
    age: float


@dataclass(frozen=True)
class Access:
    """How this process reaches storage, and where it counts.

    Attributes:
        endpoint, region, path_style: as in the configuration's ``s3``.
        counters: every answered request and every retry is counted here.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool = False
    counters: Counters = field(default_factory=Counters)


class Scheme(ABC):
    """A storage scheme.

    The operations are documented at :class:`dflib.storage.Storage`, which delegates to them: they count what they do in
    ``access.counters`` and raise :class:`StorageError` (``uri: reason``) when storage refuses or does not answer.

    Attributes:
        name: scheme of dflib's URIs, ``name://…``.
        jvm_name: scheme of the same place in Spark, Hadoop and Delta.
        conditional_writes: whether :meth:`read_versioned` and :meth:`write_if` are available.  Leases need them.
        concurrent_commits: whether Delta's own log store for this scheme keeps commits of concurrent drivers apart;
            without it each commit is made under a lease.
        content_etags: whether two objects of one size and one etag, wherever they lie, have one content.
    """

    name: str
    jvm_name: str
    conditional_writes: bool = False
    concurrent_commits: bool = False
    content_etags: bool = False

    @abstractmethod
    def check(self, uri: str) -> None:
        """Raises :class:`ValueError` when a URI of this scheme names no place, such as a missing bucket."""

    def local_path(self, uri: str) -> Path | None:
        """The path on this machine, whose files can be opened, locked (flock) and used in place; None: none."""
        return None

    def for_jvm(self, uri: str) -> str:
        """The URI as Spark, Hadoop and Delta write it."""
        return f"{self.jvm_name}://{uri.removeprefix(f'{self.name}://')}"

    def spark_conf(self, config: "Config") -> dict[str, str]:
        """Spark properties with which the JVM reaches this storage as Python does.

        Raises:
            ConfigError: a required setting is missing.
        """
        return {}

    @abstractmethod
    def stat(self, access: Access, uri: str) -> Entry: ...

    @abstractmethod
    def list_files(self, access: Access, uri: str, after: str | None = None) -> Iterator[Entry]: ...

    def list_everything(self, access: Access, uri: str) -> Iterator[Entry]:
        return self.list_files(access, uri)

    @abstractmethod
    def glob(self, access: Access, pattern: str) -> list[str]: ...

    @abstractmethod
    def read_range(self, access: Access, uri: str, offset: int, length: int) -> bytes: ...

    @abstractmethod
    def read(self, access: Access, uri: str) -> bytes: ...

    @abstractmethod
    def write(self, access: Access, uri: str, content: bytes) -> None: ...

    @abstractmethod
    def delete(self, access: Access, uri: str) -> None: ...

    @abstractmethod
    def delete_folder(self, access: Access, uri: str) -> None: ...

    def read_versioned(self, access: Access, uri: str, length: int | None) -> Versioned | None:
        raise StorageError(f"{uri}: {self.name}:// has no versions of objects to read")

    def write_if(self, access: Access, uri: str, content: bytes, etag: str | None) -> str | None:
        raise StorageError(f"{uri}: {self.name}:// has no conditional writes")


def scheme_of(uri: str) -> Scheme:
    """The scheme of a URI.

    Raises:
        ValueError: no known scheme.
        ConfigError: a package that the scheme needs is not installed.
    """
    name, separator, _ = uri.partition("://")
    if not separator:
        raise ValueError(f"{uri} is not a URI; known schemes: {known()}")
    scheme: Scheme = SCHEMES.load(name)
    return scheme


def known() -> str:
    """The schemes, for messages: ``file://, s3://``."""
    return ", ".join(f"{name}://" for name in SCHEMES.names)


def local_path(uri: str) -> Path | None:
    """The path of a URI on this machine; None where its storage is not one of this machine's file systems."""
    return scheme_of(uri).local_path(uri)


def content_etags(uri: str) -> bool:
    """Whether equal etags tell equal content, also of objects at two places."""
    return scheme_of(uri).content_etags


def for_jvm(uri: str) -> str:
    """The URI as Spark, Hadoop and Delta write it."""
    return scheme_of(uri).for_jvm(uri)


def from_jvm(uri: str) -> str:
    """The URI of a file that the JVM listed: percent signs decoded, the JVM's scheme turned back into dflib's.

    Raises:
        ValueError: no known scheme.
    """
    parts = urlsplit(uri)
    for scheme in _installed():
        if parts.scheme == scheme.jvm_name:
            return f"{scheme.name}://{parts.netloc}{unquote(parts.path)}"
    raise ValueError(f"{uri}: the JVM listed a file of an unknown scheme; known schemes: {known()}")


def named_in(value: Any) -> set[str]:
    """Names of the schemes of all URIs in a (dumped) configuration."""
    if isinstance(value, dict):
        return set().union(*map(named_in, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(named_in, value))
    name, separator, _ = value.partition("://") if isinstance(value, str) else ("", "", "")
    return {name} & set(SCHEMES.names) if separator else set()


def spark_conf(config: "Config") -> dict[str, str]:
    """Spark properties for the schemes of all URIs in the configuration.

    Raises:
        ConfigError: a setting that one of them requires is missing.
    """
    names = sorted(named_in(config.model_dump()))
    return {key: value for name in names for key, value in SCHEMES.load(name).spark_conf(config).items()}


def _installed() -> Iterator[Scheme]:
    for part in SCHEMES:
        with contextlib.suppress(ConfigError):  # one whose extra is not installed has listed nothing
            yield SCHEMES.load(part.name)
