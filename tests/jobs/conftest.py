"""An S3 server for whole jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from tests.s3_server import s3_server


@dataclass(frozen=True)
class Bucket:
    """The bucket ``dfdc`` of an S3 server."""

    endpoint: str

    @property
    def settings(self) -> list[str]:
        """Settings of a job that reads from it."""
        return [f"s3.endpoint={self.endpoint}", "s3.region=us-east-1", "s3.path_style=true"]

    def upload(self, path: Path) -> None:
        """Puts a file below ``chunks/``."""
        client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")
        client.upload_file(str(path), "dfdc", f"chunks/{path.name}")


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket; credentials are in the environment that jobs are started with."""
    with s3_server("dfdc") as endpoint:
        yield Bucket(endpoint)
