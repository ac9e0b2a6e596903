"""What every section of the configuration is made of: its base class and the kinds of its values."""

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dflib.uris import to_uri


def split_list(value: object) -> object:
    """One string is a comma-separated list, so that ``--set sources.chunks=a,b`` needs no brackets; none is empty."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Uri = Annotated[str, AfterValidator(to_uri)]
Uris = Annotated[tuple[Uri, ...], BeforeValidator(split_list)]
Names = Annotated[tuple[str, ...], BeforeValidator(split_list)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31 - 1)]
"""NumPy takes no seed below 0, and TensorFlow takes seeds modulo 2^31 - 1."""


def _read_since(value: object) -> object:
    """A day stands for its midnight, and a time without a zone is UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


Since = Annotated[datetime | None, BeforeValidator(_read_since)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
