"""The code of dflib as one zip, which travels with each job (``--py-files``)."""

import hashlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

import dflib

NOT_SHIPPED = ("__pycache__", "_conf", "_jobs")
"""Folders that no driver or executor needs: the configuration travels as the driver's argument."""


def pack(folder: Path) -> Path:
    """Writes ``folder/dflib-<hash of the content>.zip`` unless it exists, and returns its path."""
    root = Path(dflib.__file__).parent
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root.parent)
            if path.is_file() and not {*inside.parts} & {*NOT_SHIPPED}:
                # A fixed date: the same code gives the same bytes, hence the same name.
                archive.writestr(zipfile.ZipInfo(str(inside)), path.read_bytes())
    name = f"dflib-{hashlib.sha256(content.getvalue()).hexdigest()[:12]}.zip"
    return write_once(folder / name, content.getvalue())


def write_once(path: Path, content: bytes) -> Path:
    """Writes a file that is named by its content, unless it exists, and returns its path; never a part of it."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    return path
