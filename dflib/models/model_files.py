"""The files of a SavedModel: their hash, and a private copy that is hashed and then loaded.

A SavedModel is a program.  What is hashed and what is loaded must therefore be the same bytes: files in storage may be
replaced at any time, so they are copied to where no other user can write, and only the copy is hashed and loaded.
"""

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dflib.errors import ModelError, StorageError
from dflib.storage import Storage, local_path

log = logging.getLogger(__name__)

MAX_FILES = 100
"""Most files and folders of a SavedModel; those of dflib have five."""
MAX_BYTES = 4 << 30
"""Most bytes of a SavedModel; those of dflib have under 100 MB."""

_BLOCK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)


def folder_sha256(folder: Path) -> str:
    """SHA-256 in hex over the files of a folder in order of their paths, including paths and lengths."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as content:
            total.update(f"{path.relative_to(folder).as_posix()}\0{os.fstat(content.fileno()).st_size}\0".encode())
            while block := content.read(_BLOCK):
                total.update(block)
    return total.hexdigest()


@contextlib.contextmanager
def verified_copy(storage: Storage, uri: str, sha256: str) -> Iterator[Path]:
    """A private copy of a SavedModel's files with this hash; it is deleted at the end of the ``with`` block.

    Files that are not local are kept in a private folder a machine and user, named by the hash.  A damaged one is
    fetched again.

    Raises:
        ModelError: the hash is none, the files do not have it, there are links or special files among them, or they are
            too many or too large.
        StorageError: they are missing or can't be read, or the disk for the copy is full.
    """
    # It names a folder that may be deleted, so it must not be a path.
    if not _SHA256.fullmatch(sha256):
        raise ModelError(
            f"{uri}: {sha256!r} in the table models is no SHA-256 of 64 hexadecimal digits; import or train the model "
            "under a new name"
        )
    with contextlib.ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dflib-model-"))) / "model"
            _fetch(storage, uri, sha256, folder)
        except OSError as error:
            place = tempfile.gettempdir()
            if error.errno in _DISK_IS_FULL:
                mend = "free space there, or set TMPDIR to a folder of another disk"
            else:
                mend = "correct models.root, or train or import again"
            raise StorageError(f"{uri}: the model can't be copied to {place}: {error}; {mend}") from None
        yield folder


def _fetch(storage: Storage, uri: str, sha256: str, folder: Path) -> None:
    local = local_path(uri)
    if local is not None:
        _copy(local, folder, uri)
        _check(folder, uri, sha256)
        return
    kept = _kept_folder() / sha256
    if not _copy_kept(kept, folder, sha256):
        folder.mkdir(mode=0o700)
        storage.download_folder(uri, folder, MAX_FILES, MAX_BYTES)
        _check(folder, uri, sha256)
        try:
            _keep(folder, kept)
        except OSError as error:
            # The verified copy is complete; the next load fetches the model again.
            log.warning("%s: no copy is kept in %s: %s", uri, kept.parent, error)


def _check(folder: Path, uri: str, sha256: str) -> None:
    found = folder_sha256(folder)
    if found != sha256:
        raise ModelError(
            f"{uri}: its files differ from the registered ones (SHA-256 {found}, in models {sha256}); "
            "restore them, or import or train the model under a new name"
        )


def _copy(source: Path, target: Path, uri: str) -> None:
    """Copies a folder of plain files.

    Nothing that changes meanwhile can redirect it: each file is opened relative to its open folder, and no link is
    followed below ``source``.
    """

    def refuse(place: str, reason: str) -> ModelError:
        return ModelError(
            f"{uri}: {place or 'the folder'} {reason}; a model has plain files only: restore them, or import or train "
            "the model under a new name"
        )

    def unreadable(error: OSError) -> None:
        raise error

    target.mkdir(mode=0o700)
    files = size = 0
    # The folder itself may be behind a link, as models.root may be; os.fwalk opens it once.
    for path, folders, names, descriptor in os.fwalk(source.resolve(), onerror=unreadable):
        below = Path(path).relative_to(source.resolve())
        files += len(folders)
        for name in folders:
            if files > MAX_FILES:
                raise refuse("", f"has more than {MAX_FILES} files and folders")
            if stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                raise refuse((below / name).as_posix(), "is a symbolic link")
            (target / below / name).mkdir(mode=0o700)
        for name in names:
            place = (below / name).as_posix()
            try:
                # Without waiting for the other end of a pipe.
                opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
            except OSError as error:
                raise refuse(place, f"is a link or can't be read ({error.strerror})") from None
            with os.fdopen(opened, "rb") as content:
                found = os.fstat(content.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise refuse(place, "is a special file")
                files, size = files + 1, size + found.st_size
                if files > MAX_FILES or size > MAX_BYTES:
                    raise refuse("", f"has more than {MAX_FILES} files and folders or {MAX_BYTES:,} bytes")
                with (target / below / name).open("xb") as copy:
                    shutil.copyfileobj(content, copy)


def _kept_folder() -> Path:
    # Private to the user, because the files are loaded as a program.
    kept = Path(tempfile.gettempdir()) / f"dflib-models-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    found = kept.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ModelError(f"{kept}: belongs to another user or is accessible to others; remove it")
    return kept


def _copy_kept(kept: Path, target: Path, sha256: str) -> bool:
    """Copies files that were fetched earlier; False when there are none, or they are damaged, and then gone."""
    if not kept.is_dir():
        return False
    try:
        _copy(kept, target, str(kept))
        _check(target, str(kept), sha256)
    except (ModelError, StorageError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _DISK_IS_FULL:
            raise  # of the target: the kept copy may be good
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        return False
    return True


def _keep(folder: Path, kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as arriving:
        copy = Path(arriving) / "model"
        shutil.copytree(folder, copy)
        # Another worker of this machine may have been faster.
        with contextlib.suppress(OSError):
            copy.rename(kept)
