"""Connections to S3: endpoint, region, path style, timeouts and retries, the same for Python and the JVM.

Credentials are not configured.  boto3 and the AWS SDK of the JVM each follow their own default chain (variables,
profile, credential process of a profile, web identity, role of the container or machine), and renew temporary
credentials before they expire.  The JVM's chain lacks SSO (``docs/s3.md``).
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from dflib import uris
from dflib.config import S3Config
from dflib.errors import ConfigError, CredentialsError, DeniedError, MissingError, StorageError

ATTEMPTS = 10
"""Attempts at one request before it fails: where 5 % of all answers are errors, one in 10^13 requests fails."""
CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Longest silence on an open connection.  S3 answers in well under a second; after a minute the connection is lost."""
CONNECTIONS = 64
"""Connections of one process: more than it has threads that read."""

UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "ExpiredTokenException")
"""Error codes for credentials that S3 does not accept."""
# Refusals that may concern only the one object; a HEAD has no body with more than 403.
DENIED = (*UNKNOWN, "AccessDenied", "403")

CREDENTIALS = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"


def region(settings: S3Config) -> str:
    """The region from the configuration, the AWS variables or the AWS profile.

    Raises:
        ConfigError: none of them names a region.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    # AWS_REGION is the JVM's name for it, AWS_DEFAULT_REGION and the profile's are boto3's.
    found = settings.region or os.environ.get("AWS_REGION")
    try:
        found = found or boto3.session.Session().region_name
    except BotoCoreError as error:
        raise ConfigError(f"the AWS profile can't be used: {error}; correct it, or unset AWS_PROFILE") from None
    if not found:
        raise ConfigError(
            "s3.region: the configuration names S3, but no region is known; set s3.region (for a server of your own, "
            "the name that it has configured, often us-east-1), AWS_REGION, or the region of the profile"
        )
    return found


def attempts() -> int:
    """Attempts at one request: AWS_MAX_ATTEMPTS, or else :data:`ATTEMPTS`."""
    value = os.environ.get("AWS_MAX_ATTEMPTS", "")
    return int(value) if value.isdecimal() and int(value) > 0 else ATTEMPTS


@functools.lru_cache(maxsize=8)
def client(endpoint: str | None, region: str | None, path_style: bool, process: int) -> Any:
    """A boto3 client, one per process (``process`` is part of the key: a client must not cross a fork)."""
    import boto3
    from botocore.config import Config

    made = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region or os.environ.get("AWS_REGION"),
        config=Config(
            s3={"addressing_style": "path" if path_style else "auto"},
            retries={"total_max_attempts": attempts(), "mode": "standard"},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=CONNECTIONS,
        ),
    )
    made.meta.events.register("needs-retry.s3", _count_retry)
    return made


_thread = threading.local()


@contextmanager
def retries(count: Callable[[], None]) -> Iterator[None]:
    """Calls ``count`` for each retry of a request that this thread makes with :func:`client` during the block.

    boto3's own event is used, since a connection that was never made has no answer that could hold the number of
    retries.  All counters of a process share one client, which works in the calling thread: so the thread identifies
    the counter.
    """
    before = getattr(_thread, "count", None)
    _thread.count = count
    try:
        yield
    finally:
        _thread.count = before


def _count_retry(attempts: int, **_: Any) -> None:
    """Called by boto3 after each attempt, before it decides about another; ``attempts``: attempts so far."""
    count = getattr(_thread, "count", None)
    if attempts > 1 and count is not None:
        count()


def spark_conf(settings: S3Config) -> dict[str, str]:
    """Spark properties with which the JVM reaches S3 as :func:`client` does.

    Delta commits by its log and needs no committer.  Staged and exported files go through S3A's magic committer,
    since a rename on S3 is a copy that can stop halfway.

    Raises:
        ConfigError: no region is known, which S3A requires.
    """
    properties = {
        "endpoint.region": region(settings),
        "path.style.access": str(settings.path_style).lower(),
        "aws.credentials.provider": CREDENTIALS,
        # Attempts of the SDK at a request, then of S3A at the operation.
        "attempts.maximum": str(attempts()),
        "retry.limit": str(attempts()),
        "retry.interval": "500ms",
        "retry.throttle.limit": str(2 * attempts()),
        "retry.throttle.interval": "200ms",
        "connection.establish.timeout": f"{CONNECT_SECONDS}s",
        "connection.timeout": f"{READ_SECONDS}s",
        "connection.maximum": str(CONNECTIONS),
        "threads.max": str(CONNECTIONS // 2),
        # Parquet is read by seeking: ask for the ranges that are read, not for the rest of the object.
        "experimental.input.fadvise": "random",
        "committer.name": "magic",
        # A missing bucket fails the first request anyway; a probe before it would be one more request to fail.
        "bucket.probe": "0",
    }
    if settings.endpoint is not None:
        properties["endpoint"] = settings.endpoint
        properties["connection.ssl.enabled"] = str(urlsplit(settings.endpoint).scheme == "https").lower()
    return {f"spark.hadoop.fs.s3a.{key}": value for key, value in properties.items()} | {
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    }


def explained(uri: str, error: Exception) -> StorageError:
    """The error of a failed request, with URI, reason and fix; never with what was signed or with which key."""
    from botocore import exceptions

    place = uris.masked(uri)
    if not isinstance(error, exceptions.ClientError):
        lacking = (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.TokenRetrievalError,
            exceptions.UnauthorizedSSOTokenError,
        )
        kind = CredentialsError if isinstance(error, lacking) else StorageError
        return kind(f"{place}: {error}; check s3.endpoint, s3.region and the AWS credentials")
    details = error.response.get("Error", {})
    code, status = details.get("Code", "?"), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in DENIED or status in (401, 403):
        return (CredentialsError if code in UNKNOWN else DeniedError)(
            f"{place}: S3 refused ({code}); check the AWS credentials (aws sts get-caller-identity shows whose they "
            "are), their permissions there, and s3.endpoint and s3.region"
        )
    kind = MissingError if code in ("NoSuchKey", "404") else StorageError
    return kind(f"{place}: S3 answered {code}: {details.get('Message', '')}")
