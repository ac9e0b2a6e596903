"""Containers by their first bytes, of files that PyAV wrote and opens."""

import io
import random

import av
import pytest

from dflib.media.container import FORMATS
from dflib.sources import names
from dflib.sources.names import OTHER_ENDINGS, VIDEO_ENDINGS
from dflib.sources.signatures import HEAD_BYTES, container_of
from tests.sources import media


@pytest.mark.parametrize("kind", media.VIDEOS)
def test_videos_are_recognised_by_name_and_by_content(kind: str) -> None:
    content = media.video(kind)
    assert container_of(content[:HEAD_BYTES]) is not None
    assert names.ending(f"x/A.{kind.upper()}") in VIDEO_ENDINGS
    with av.open(io.BytesIO(content)) as opened:
        assert opened.streams.video
        # The decoder opens the same containers.
        assert set(opened.format.name.split(",")) & set(FORMATS.split(","))


@pytest.mark.parametrize("kind", media.SOUNDS)
def test_sounds_are_no_videos(kind: str) -> None:
    content = media.sound(kind)
    with av.open(io.BytesIO(content)) as opened:
        assert not opened.streams.video
    assert container_of(content[:HEAD_BYTES]) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GGGG",
        b"PK\x03\x04" + bytes(1000),
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"%PDF-1.7",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"#!/bin/sh\n" * 100,
        b"GET / HTTP/1.1",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"FLV is a format",
    ],
)
def test_other_files_are_no_videos(head: bytes) -> None:
    assert container_of(head) is None


def test_random_bytes_are_no_videos() -> None:
    numbers = random.Random(3)
    assert not any(container_of(numbers.randbytes(HEAD_BYTES)) for _ in range(5000))


def test_endings_are_of_one_kind() -> None:
    assert not set(VIDEO_ENDINGS) & set(OTHER_ENDINGS)
