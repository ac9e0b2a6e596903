"""Sections about what is read, where from, and how it is divided."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dflib.config.section import Fraction, Names, Positive, Section, Uri, Uris
from dflib.parts import catalog


def _check_layout(text: str) -> str:
    return text if text == "auto" else catalog.LAYOUTS.check(text)


class SourcesConfig(Section):
    """What ``ingest`` reads: archives and folders of videos, and folders of ready-cut face crops."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    """Name of the data set, the first part of each ``video_id``: letters, digits, dots, hyphens and underscores.
    It cannot be changed for chunks that were ingested.  Example: ``dfdc``."""
    chunks: Uris
    """URIs or globs, separated by commas, of chunk zips, folders of zips, folders of videos and single videos.
    Example: ``s3://bucket/dfdc_train_part_*.zip,/data/clips``."""
    layout: Annotated[str, AfterValidator(_check_layout)]
    """Layout of the data set, which gives identifiers, labels and source groups: a layout of the catalog, or ``auto``.
    ``auto`` takes, for each video, the first layout that recognises its path, and none if no layout does.  With a
    named layout, videos that do not follow it have the problem ``NOT_IN_LAYOUT``.  A change is applied when ``ingest``
    runs again.  Example: ``faceforensics``."""
    crops: Uris
    """URIs or globs, separated by commas, of folders of ready-cut crops (JPEG, PNG, WebP, BMP, TIFF or GIF), each with
    sub-folders for real and fake.  Example: ``/data/face_crops``."""
    crop_pattern: str
    """File name of a ready-cut crop without its ending: literal text, ``<video>``, ``<original>``, ``<frame>``,
    ``<face>`` or ``<k>`` (a running number, used as frame), and ``[...]`` around an optional part.
    Example: ``<video>[_<original>]_<k>``."""
    crop_real: Names
    """Names of the sub-folders with real crops, separated by commas, compared without case.
    Example: ``real,genuine``."""
    crop_fake: Names
    """Names of the sub-folders with fake crops, separated by commas, compared without case.
    Example: ``fake,df``."""
    crop_one_class: bool
    """Whether a folder may have crops of one class only.  Otherwise it is refused, because a mistyped folder name would
    leave one class out."""
    labels: Uri | None
    """URI of a CSV with the columns ``video``, ``label`` and optionally ``original``, which labels the videos of all
    chunks, beside the files ``labels.csv`` in and beside them.  Its labels take precedence over those that a layout
    derives from names.  Example: ``s3://bucket/labels.csv``."""
    max_members: Positive
    """Number of files in a chunk above which none of them is read."""
    max_metadata_bytes: Positive
    """Size in bytes of the metadata and labels files of a chunk above which no more of them are read."""
    max_metadata_entries: Positive
    """Number of entries in the metadata and labels files of a chunk above which no more of them are used."""
    max_probes: Annotated[int, Field(ge=0)]
    """Number of files a chunk without a known ending whose first bytes are read to find out whether they are
    videos."""


class S3Config(Section):
    """Access to s3://. Credentials come from the default AWS chain, never from here."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/@?#\s]+/?$")] | None
    """``http(s)://host[:port]``; null: AWS."""
    region: str | None
    """null: the region of the AWS variables or profile."""
    path_style: bool
    """Whether the bucket is in the path instead of the host name, as most servers other than AWS require."""


class SplitsConfig(Section):
    """How source groups (an original with its fakes) are assigned to train, validation and test.

    A group keeps the split that it was assigned first, also after these settings change.
    """

    by: Literal["auto", "original", "chunk", "given"]
    """original: each group on its own; chunk: all groups of a chunk together; given: as the source's metadata state;
    auto: chunk when there are at least ``min_chunks`` chunks, otherwise original."""
    min_chunks: Positive
    """Number of chunks from which ``auto`` splits by chunk."""
    validation: Fraction
    """Fraction of the groups for validation; must be above 0 for training."""
    test: Fraction
    """Fraction of the groups for test; the remainder after validation and test is train."""
    seed: int
    """Seed of the assignment."""
