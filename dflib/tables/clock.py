"""Times of rows of which the newest counts."""

from datetime import UTC, datetime, timedelta


def later_than(newest: datetime | None) -> datetime:
    """Now (UTC), or just after ``newest``, so that the next row is the newest also when the clock has been set back.

    Args:
        newest: as Spark collects it; None: there is no row yet.
    """
    now = datetime.now(UTC)
    return now if newest is None else max(now, newest.astimezone(UTC) + timedelta(microseconds=1))
