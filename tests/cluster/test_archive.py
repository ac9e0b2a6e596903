"""Executors of a standalone cluster with Python from the archive give the tables of one machine."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.conftest import SMALL
from tests.cluster.pythons import watched
from tests.cluster.same_tables import assert_same_tables
from tests.cluster.standalone import Cluster
from tests.jobs.places import HOME, Place

pytestmark = pytest.mark.cluster


def test_nothing_in_the_archive_points_to_this_machine(environment: Path) -> None:
    with tarfile.open(environment) as archive:
        members = archive.getmembers()
    names = {member.name for member in members}
    assert {"bin/python"} < names and any(name.endswith("tensorflow/__init__.py") for name in names)
    assert all(member.isfile() for member in members), "a link may point to where only this machine has something"
    assert {member.uname for member in members} == {""}
    # Slim images lack the library that ctypes, and so numpy, needs.
    assert any(name.startswith("lib/libffi.so") for name in names) and "lib/libc.so.6" not in names
    # dflib comes with the job; an editable installation would be a path to the checkout.
    assert not [name for name in names if "dflib" in name or "__editable__" in name]


def test_tables_are_those_of_one_machine(
    environment: Path, cluster: Cluster, copied: Callable[..., Place], local: Place, tmp_path: Path
) -> None:
    place = copied(tmp_path / "place")
    place.variables["DFLIB_EXECUTOR_PYTHON"] = "./environment/bin/python"
    one = cluster.options(*SMALL, "spark.cores.max=1")
    for job in ("extract", "score"):
        with watched(cluster.folder) as pythons:
            place.submit(job, options=(*one, "--archives", f"{environment}#environment"))
        assert pythons
        for executable, path in pythons.items():
            assert executable.is_relative_to(cluster.folder) and "environment" in executable.parts
            assert str(HOME) not in path.split(":")
    assert_same_tables(place, local, "extractions", "frames", "faces", "predictions")
