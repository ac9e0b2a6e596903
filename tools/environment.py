"""Packs Python and the packages that dflib needs into an archive: ``python -m tools.environment FILE.tar.gz``.

For the machines of a cluster without them (``spark.archives``). The archive depends on no path of the packing machine,
unlike an archive of a virtual environment, which only points to its Python. It leaves out what only development and
tests need, and dflib itself, which travels with each job. The machines need the same C library or a newer one.
"""

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("gpu", "dlib", "blazeface")
"""Extras of dflib that its jobs use; packed where they are installed."""
OMITTED = ("pyspark/jars", "pyspark/examples", "tensorflow/include")
"""Parts of packages that no job needs: an executor has Spark already and compiles nothing."""
OMITTED_OF_PYTHON = ("test", "idlelib", "tkinter", "ensurepip", "site-packages", "dist-packages", "__pycache__")

OF_THE_SYSTEM = ("libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libutil.so", "libresolv.so")
"""Libraries of the machine's loader, which those of another machine can't replace."""

LAUNCHER = """#!/bin/sh
# Python finds its modules from its own path; shared libraries need LD_LIBRARY_PATH.
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$here/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/NAME" "$@"
"""


def needed(name: str = "dflib", extras: tuple[str, ...] = EXTRAS) -> list[Distribution]:
    """The installed packages that a package needs, directly or through others; not the package itself.

    Raises:
        PackageNotFoundError: one is not installed that is needed without any extra.
    """
    found: dict[str, Distribution] = {}
    todo: list[tuple[str, tuple[str, ...]]] = [(name, ("", *extras))]
    seen: set[tuple[str, ...]] = set()
    while todo:
        name, extras = todo.pop()
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            asked = [extra for extra in extras if marker is None or marker.evaluate({"extra": extra})]
            key = (canonicalize_name(requirement.name), *sorted(requirement.extras))
            if not asked or key in seen:
                continue
            seen.add(key)
            try:
                found[key[0]] = distribution(requirement.name)
            except PackageNotFoundError:
                if "" in asked:
                    raise
                continue
            todo.append((requirement.name, ("", *requirement.extras)))
    return [found[name] for name in sorted(found)]


def files() -> Iterator[tuple[Path, PurePath]]:
    """Each file to pack, and its path in the archive."""
    python = base_python()
    yield python, PurePath("bin", python.name)
    for name, library in sorted(libraries(python).items()):
        yield library, PurePath("lib", name)
    base = Path(sys.base_prefix)
    for standard in {Path(sysconfig.get_path(name, vars={"platbase": str(base)})) for name in ("stdlib", "platstdlib")}:
        for path in sorted(standard.rglob("*")):
            parts = path.relative_to(standard).parts
            if path.is_file() and not {*parts} & {*OMITTED_OF_PYTHON} and not parts[0].startswith("config-"):
                yield path, PurePath(path.relative_to(base))
    folder = packages_folder()
    for package in needed():
        for file in package.files or []:
            path = Path(str(package.locate_file(file)))
            # Not the commands in bin, which begin with the path of their Python.
            if file.parts[0] != ".." and not str(file).startswith(OMITTED) and path.is_file():
                yield path, folder.joinpath(*file.parts)


def libraries(python: Path) -> dict[str, Path]:
    """The shared libraries that Python and its own modules (ssl, ctypes …) load, except for the C library."""
    modules = Path(sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix})) / "lib-dynload"
    # Not tkinter, which depends on half a desktop.
    compiled = [str(path) for path in sorted(modules.glob("*.so")) if not path.name.startswith("_tkinter")]
    command = ["ldd", str(python), *compiled]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = dict(re.findall(r"^\s*(lib\S+) => (/\S+)", output, re.MULTILINE))
    return {name: Path(path) for name, path in found.items() if not name.startswith(OF_THE_SYSTEM)}


def base_python() -> Path:
    """The Python that the virtual environment was created from."""
    return Path(sys._base_executable).resolve()  # type: ignore[attr-defined]


def packages_folder() -> PurePath:
    """The package folder of the base Python, relative to its prefix; Debian's Python has its own."""
    command = [str(base_python()), "-I", "-c", "import site; print(site.getsitepackages()[-1])"]
    folder = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return PurePath(folder).relative_to(sys.base_prefix)


def pack(target: Path) -> Path:
    """Writes the archive, a ``.tar.gz``, and returns its path. It contains no user or group names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent)
    try:
        # Unpacked once on each machine: fast packing is worth more than a smaller file.
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
            for path, inside in files():
                entry = archive.gettarinfo(path.resolve(), str(inside))
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            launcher = LAUNCHER.replace("NAME", base_python().name).encode()
            entry = tarfile.TarInfo("bin/python")
            entry.size, entry.mode = len(launcher), 0o755
            archive.addfile(entry, io.BytesIO(launcher))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


if __name__ == "__main__":
    print(pack(Path(sys.argv[1])))
