"""Packs dflib into one zip for ``--py-files``: ``python -m dflib.cli.package FOLDER`` prints its path."""

import hashlib
import io
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import dflib


def pack(folder: Path) -> Path:
    """Writes ``folder/dflib-<hash of its content>.zip`` unless it is there, and returns its path."""
    root = Path(dflib.__file__).parent
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                # A fixed date: the same code gives the same bytes, hence the same name.
                archive.writestr(zipfile.ZipInfo(str(path.relative_to(root.parent))), path.read_bytes())
    target = folder / f"dflib-{hashlib.sha256(content.getvalue()).hexdigest()[:12]}.zip"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.getvalue())
        Path(temporary).replace(target)
    return target


if __name__ == "__main__":
    print(pack(Path(sys.argv[1])))
