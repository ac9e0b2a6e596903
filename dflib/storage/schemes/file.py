"""``file:///path``: disks of this machine and file systems mounted on it.  Percent signs are literal."""

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from dflib.errors import DeniedError, MissingError, StorageError
from dflib.storage.scheme import NO_FILE, UNREADABLE, Access, Entry, Scheme


class FileScheme(Scheme):
    """Files.  Delta's rename of a log entry is atomic here, and locks (flock) end with the process that holds them."""

    name = "file"
    jvm_name = "file"
    concurrent_commits = True

    def check(self, uri: str) -> None:
        if not uri.startswith("file:///"):
            host = uri.removeprefix("file://").partition("/")[0]
            raise ValueError(
                f"{uri}: {host!r} is read as the name of a machine; write file:///path, with three slashes, or the path"
            )

    def local_path(self, uri: str) -> Path:
        return Path(uri.removeprefix("file://"))

    def for_jvm(self, uri: str) -> str:
        # Delta takes file:///x and file:/x for two places.
        return "file:" + uri.removeprefix("file://")

    def stat(self, access: Access, uri: str) -> Entry:
        with _explained(uri):
            info = self.local_path(uri).stat()
        access.counters.add()
        return Entry(uri, info.st_size, _etag(info))

    def list_files(self, access: Access, uri: str, after: str | None = None) -> Iterator[Entry]:
        access.counters.add()
        for folder, folders, files in os.walk(self.local_path(uri)):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(folder) / name
                if name.startswith(".") or not path.is_file():
                    continue
                found = f"file://{path}"
                if after is None or found > after:
                    info = path.stat()
                    yield Entry(found, info.st_size, _etag(info))

    def list_everything(self, access: Access, uri: str) -> Iterator[Entry]:
        access.counters.add()
        root = self.local_path(uri)
        seen: set[tuple[int, int]] = set()
        with _explained(uri):
            waiting = [str(root)] if root.is_dir() else []
        # Links wait until all real folders are listed, so that a folder is listed under its own path if it has one.
        while waiting:
            links: list[str] = []
            for folder in sorted(waiting):
                yield from _walk(folder, seen, links, str(root))
            waiting = links

    def glob(self, access: Access, pattern: str) -> list[str]:
        path = self.local_path(pattern)
        access.counters.add()
        found = [Path(path.anchor)]
        for part in path.relative_to(path.anchor).parts:
            found = [match for folder in found for match in _matches(folder, part)]
        return sorted(f"file://{match}" for match in found)

    def read_range(self, access: Access, uri: str, offset: int, length: int) -> bytes:
        with _explained(uri), self.local_path(uri).open("rb") as file:
            file.seek(offset)
            content = file.read(length)
        access.counters.add(len(content))
        return content

    def read(self, access: Access, uri: str) -> bytes:
        with _explained(uri):
            content = self.local_path(uri).read_bytes()
        access.counters.add(len(content))
        return content

    def write(self, access: Access, uri: str, content: bytes) -> None:
        path = self.local_path(uri)
        with _explained(uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not by tempfile, which knows no umask.
            temporary = path.with_name(f".writing-{uuid.uuid4().hex}")
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        access.counters.add()

    def delete(self, access: Access, uri: str) -> None:
        with _explained(uri):
            self.local_path(uri).unlink(missing_ok=True)
        access.counters.add()

    def delete_folder(self, access: Access, uri: str) -> None:
        path = self.local_path(uri)
        with _explained(uri):
            while path.exists():
                # Another process may delete the same folder, so that files vanish in between.
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path)
        access.counters.add()


@contextlib.contextmanager
def _explained(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kinds = {FileNotFoundError: MissingError, PermissionError: DeniedError}
        kind = next((kind for cause, kind in kinds.items() if isinstance(error, cause)), StorageError)
        raise kind(f"{uri}: {error.strerror or error}") from error


def _matches(folder: Path, part: str) -> list[Path]:
    if os.path.lexists(folder / part):
        return [folder / part]
    return list(folder.glob(part)) if any(mark in part for mark in "*?[") else []


def _walk(top: str, seen: set[tuple[int, int]], links: list[str], root: str) -> Iterator[Entry]:
    """All files below a folder whose device and inode are not in ``seen``; folders behind links go to ``links``.

    Raises:
        StorageError: ``root`` cannot be read.
    """
    waiting: list[str | Entry] = [top]
    while waiting:
        place = waiting.pop()
        if isinstance(place, Entry):
            yield place
            continue
        try:
            with _explained(f"file://{place}"):
                info = Path(place).stat()
                if (info.st_dev, info.st_ino) in seen:
                    continue
                seen.add((info.st_dev, info.st_ino))
                with os.scandir(place) as listing:
                    children = sorted(listing, key=lambda child: child.name, reverse=True)
        except StorageError as error:
            if place == root:
                raise
            if not isinstance(error, MissingError):  # else it has just vanished
                yield Entry(f"file://{place}", UNREADABLE, "")
            continue
        for child in children:
            try:
                found = child.stat()
            except OSError:  # a link that leads nowhere or in a circle, or a file that has just vanished
                try:
                    found = child.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError:
                    waiting.append(Entry(f"file://{child.path}", UNREADABLE, ""))
                    continue
            if not stat.S_ISDIR(found.st_mode):
                size = found.st_size if stat.S_ISREG(found.st_mode) else NO_FILE
                waiting.append(Entry(f"file://{child.path}", size, _etag(found)))
            elif child.is_symlink():
                links.append(child.path)
            else:
                waiting.append(child.path)


def _etag(info: os.stat_result) -> str:
    return f"{info.st_size}-{info.st_mtime_ns}"


PART = FileScheme()
