"""How S3 is reached: endpoint, region, path style, credentials, patience. Python and the JVM are told the same here.

Credentials are never among it.  boto3 and the AWS SDK of the JVM each look for them along their own default chain
(variables, profile, process of a profile, web identity, role of the container or machine), and ask again before
temporary ones run out.  The JVM's lacks SSO (``docs/s3.md``).
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
from dflib.errors import ConfigError, CredentialsError, MissingError, StorageError

ATTEMPTS = 10
"""Tries of one request before it has failed: where 5 % of all answers are errors, one in 10^13 does."""
CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Longest silence on an open connection.  S3 answers in well under a second; a minute is a lost connection."""
CONNECTIONS = 64
"""Of one process: more than it has threads that read."""

UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "ExpiredTokenException")
"""What S3 calls credentials that it does not take."""
# Refusals that may be about the one object; a HEAD has no body to say more than 403.
DENIED = (*UNKNOWN, "AccessDenied", "403")

CREDENTIALS = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"


def region(settings: S3Config) -> str:
    """The region of the configuration, or that of the AWS variables or profile.

    Raises:
        ConfigError: none of them names one.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    # AWS_REGION is the JVM's name for it, AWS_DEFAULT_REGION and the profile's are boto3's.
    found = settings.region or os.environ.get("AWS_REGION")
    try:
        found = found or boto3.session.Session().region_name
    except BotoCoreError as error:
        raise ConfigError(f"the AWS profile can't be used: {error}; mend it, or unset AWS_PROFILE") from None
    if not found:
        raise ConfigError(
            "s3.region: S3 is asked for and no region is known; set s3.region (for a server of your own, whatever it "
            "calls its region, often us-east-1), AWS_REGION, or the region of the profile"
        )
    return found


def attempts() -> int:
    """Tries of one request: :data:`ATTEMPTS`, or what AWS's own variable for it says."""
    told = os.environ.get("AWS_MAX_ATTEMPTS", "")
    return int(told) if told.isdecimal() and int(told) > 0 else ATTEMPTS


@functools.lru_cache(maxsize=8)
def client(endpoint: str | None, region: str | None, path_style: bool, process: int) -> Any:
    """A boto3 client, one a process (``process`` keys it: a client must not cross a fork)."""
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
    made.meta.events.register("needs-retry.s3", _tried)
    return made


_thread = threading.local()


@contextmanager
def retries(count: Callable[[], None]) -> Iterator[None]:
    """Calls ``count`` for each try beyond the first of a request that this thread makes by :func:`client` meanwhile.

    Asked of boto3's own event, since an answer tells its retries and a connection that was never made has no answer.
    One client serves all who count in a process, and works in the thread of the one who asks: so the thread says who.
    """
    before = getattr(_thread, "count", None)
    _thread.count = count
    try:
        yield
    finally:
        _thread.count = before


def _tried(attempts: int, **_: Any) -> None:
    """What boto3 calls after each try, before it decides about another; ``attempts``: so many by now."""
    count = getattr(_thread, "count", None)
    if attempts > 1 and count is not None:
        count()


def spark_conf(settings: S3Config) -> dict[str, str]:
    """What Spark is told so that the JVM reaches S3 as :func:`client` does.

    Delta commits by its log and needs no committer; what is staged and exported goes through S3A's magic committer,
    since a rename on S3 is a copy that can stop halfway.

    Raises:
        ConfigError: there is no region, which S3A can't do without.
    """
    told = {
        "endpoint.region": region(settings),
        "path.style.access": str(settings.path_style).lower(),
        "aws.credentials.provider": CREDENTIALS,
        # The SDK's own tries of a request, then S3A's of the operation.
        "attempts.maximum": str(attempts()),
        "retry.limit": str(attempts()),
        "retry.interval": "500ms",
        "retry.throttle.limit": str(2 * attempts()),
        "retry.throttle.interval": "200ms",
        "connection.establish.timeout": f"{CONNECT_SECONDS}s",
        "connection.timeout": f"{READ_SECONDS}s",
        "connection.maximum": str(CONNECTIONS),
        "threads.max": str(CONNECTIONS // 2),
        # Parquet is read by seeking: ranges of what is asked for, not the rest of the object.
        "experimental.input.fadvise": "random",
        "committer.name": "magic",
        # Where a bucket is not there, the first request says so; a request before it would be one more to fail.
        "bucket.probe": "0",
    }
    if settings.endpoint is not None:
        told["endpoint"] = settings.endpoint
        told["connection.ssl.enabled"] = str(urlsplit(settings.endpoint).scheme == "https").lower()
    return {f"spark.hadoop.fs.s3a.{key}": value for key, value in told.items()} | {
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    }


def explained(uri: str, error: Exception) -> StorageError:
    """What a failed request says to a user: place, reason and mend; never what was signed or with what."""
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
    said = error.response.get("Error", {})
    code, status = said.get("Code", "?"), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in DENIED or status in (401, 403):
        return (CredentialsError if code in UNKNOWN else StorageError)(
            f"{place}: S3 refused ({code}); check the AWS credentials (aws sts get-caller-identity says whose they "
            "are), what they may do there, and s3.endpoint and s3.region"
        )
    kind = MissingError if code in ("NoSuchKey", "404") else StorageError
    return kind(f"{place}: S3 answered {code}: {said.get('Message', '')}")
