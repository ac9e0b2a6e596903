"""Sections about the proof of a score."""

from typing import Literal

from dflib.config.section import Section, Uri


class ExplainConfig(Section):
    """What ``explain`` shows; set by its arguments."""

    video: str | None
    """video_id; explain requires it."""
    model: str | None
    """model_id or alias; null: the model of the current verdict, or else the champion."""
    extractor: str | None
    """The extractor; null: that of the current verdict, or else the only one that has extracted the video."""
    format: Literal["text", "json", "html"]
    """Format of the output."""
    to: Uri | None
    """File for it; null: the terminal."""
    replay: bool
    """Whether the chain is computed again and compared."""
    bundle: Uri | None
    """File for the chain with its crops, which ``verify`` checks; null: none."""


class VerifyConfig(Section):
    """What ``verify`` checks; set by its arguments."""

    bundle: Uri | None
    """A bundle of ``explain``; verify requires it."""
    video: Uri | None
    """The video file that it is about; null: it is not checked."""
