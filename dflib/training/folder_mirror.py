"""A copy of a local folder on remote storage, updated whenever the folder changes."""

from dataclasses import dataclass, field
from pathlib import Path

from dflib import uris
from dflib.storage import Storage


@dataclass
class FolderMirror:
    """Copies a local folder to ``uri``.

    Attributes:
        storage: writes and deletes the remote files.
        folder: the local folder; files whose names begin with a dot are not copied.
        uri: the remote folder.
    """

    storage: Storage
    folder: Path
    uri: str
    _sent: dict[str, tuple[int, int]] = field(default_factory=dict)

    def send(self, last: str) -> None:
        """Uploads new and changed files, the file ``last`` after all others, then deletes remote files that are gone.

        So the remote folder holds, at any time, all the files that the remote ``last`` refers to.
        """
        if not self._sent:
            start = self.uri.rstrip("/") + "/"
            self._sent = {entry.uri.removeprefix(start): (0, 0) for entry in self.storage.list_files(self.uri)}
        here = {}
        for path in sorted(self.folder.rglob("*"), key=lambda path: (path.name == last, path)):
            if path.is_file() and not path.name.startswith("."):
                info = path.stat()
                name = path.relative_to(self.folder).as_posix()
                here[name] = (info.st_mtime_ns, info.st_size)
                if self._sent.get(name) != here[name]:
                    self.storage.write(uris.join(self.uri, name), path.read_bytes())
        for name in self._sent.keys() - here.keys():
            self.storage.delete(uris.join(self.uri, name))
        self._sent = here
