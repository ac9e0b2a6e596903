"""A standalone cluster whose machines let in only those that know its secret."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from dflib.cli.submit import SECRET
from tests.cluster.conftest import SMALL
from tests.cluster.standalone import standalone
from tests.jobs.places import Place

pytestmark = pytest.mark.cluster


def test_a_job_knows_the_secret_of_its_cluster(copied: Callable[..., Place], tmp_path: Path) -> None:
    secret = secrets.token_urlsafe(16)
    with standalone(tmp_path, {"a": "0"}, secret=secret) as cluster:
        place = copied(tmp_path / "place")
        place.variables[SECRET] = secret
        options = cluster.options(*SMALL, "spark.executor.resource.gpu.amount=0")
        # Its counts are those of tasks on the executors.
        assert f"videos     {len(place.table('videos')):,}" in place.submit("status", options=options).stdout
        place.variables[SECRET] = "another"
        refused = place.submit("status", options=options, code=1)
        assert "status: the cluster did not let the job in: " in refused.stdout + refused.stderr
        assert "Traceback" not in refused.stdout + refused.stderr
    (properties,) = [path for path in (place.root / "build").glob("spark-*.conf") if secret in path.read_text()]
    assert properties.stat().st_mode & 0o077 == 0
    for path in (place.root / "tables").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
