"""The frames of a video as extract reads them, without a detector."""

from dataclasses import dataclass

from dflib.extraction import sampling
from dflib.media.decode import Findings, UnannouncedFramesError, decode
from dflib.media.frame import Frame
from dflib.media.limits import Limits
from dflib.media.plan import DecodePlan, plan
from dflib.media.probe import probe
from dflib.media.survey import survey
from dflib.media.timeline import StreamInfo

LIMITS = Limits(
    max_pixels=10_000_000,
    max_frame_bytes=100_000_000,
    max_frames=100_000,
    max_total_pixels=10**11,
    max_index_entries=1_000_000,
)
"""Limits that small clips keep."""


@dataclass(frozen=True)
class Shown:
    """What was found, planned and decoded of a video."""

    info: StreamInfo
    planned: DecodePlan
    frames: list[Frame]
    findings: Findings


def show(content: bytes, sampled: str = "every:1", max_offset: float = 0.0334, deinterlace: bool = False) -> Shown:
    """Decodes the sampled frames; as in extract, from a survey where the packets announce other frames."""
    info = probe(content, LIMITS)
    try:
        return _decoded(content, info, sampled, max_offset, deinterlace)
    except UnannouncedFramesError:
        return _decoded(content, survey(content, LIMITS, info), sampled, max_offset, deinterlace)


def _decoded(content: bytes, info: StreamInfo, sampled: str, max_offset: float, deinterlace: bool) -> Shown:
    requests = sampling.sample(sampled, info.times, info.keys, info.duration)
    planned, findings = plan(info, requests, max_offset), Findings()
    return Shown(info, planned, list(decode(content, info, planned, LIMITS, findings, deinterlace)), findings)
