"""The session of a job that a cluster refuses."""

from unittest.mock import MagicMock

import pytest
from py4j.protocol import Py4JJavaError

from dflib.errors import ClusterError
from dflib.runtime import session

STOPPED = "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.\nThis stopped SparkContext"


class Failed(Py4JJavaError):
    """An error of Java with this text; that of Py4J needs a JVM."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def test_a_job_that_the_cluster_does_not_let_in_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MagicMock()
    monkeypatch.setattr(session, "SparkSession", made)
    made.builder.appName.return_value.getOrCreate.side_effect = [Failed(STOPPED), Failed("another")]
    with pytest.raises(ClusterError, match=r"^the cluster did not let the job in: .*DFLIB_SPARK_SECRET") as raised:
        session.build("x")
    assert "\n" not in str(raised.value)
    with pytest.raises(Failed, match="another"):
        session.build("x")
