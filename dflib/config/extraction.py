"""Sections about frames, faces and crops."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dflib.config.section import Fraction, Names, Positive, Section, Since
from dflib.parts import catalog


class SamplingConfig(Section):
    """Which frames of a video extract takes."""

    frames: Annotated[str, AfterValidator(catalog.SAMPLINGS.check)]
    """Name of the sampling and its argument, such as ``even:20``."""
    max_offset: Annotated[float, Field(ge=0)]
    """Seconds by which a decoded frame may differ from the requested one; larger values allow the decoder to skip more
    frames. 0: exactly the requested frames."""
    deinterlace: bool
    """Whether interlaced frames are deinterlaced (FFmpeg's bwdif), for which all frames of a video are decoded. Without
    it, moving faces in them have combs."""


class FacesConfig(Section):
    """How faces are detected in the sampled frames, joined to tracks, and kept."""

    detector: Annotated[str, AfterValidator(catalog.DETECTORS.check)]
    """Name of the face detector."""
    threshold: Fraction
    """Confidence (0 to 1) above which a face is kept."""
    lone_threshold: Fraction
    """Confidence above which a face is kept if it is the only one of its frame above this value."""
    track_threshold: Fraction
    """Confidence above which a face is kept if its track has a face above ``threshold``."""
    resize: Literal["by_side", "by_width", "none"]
    """Scale of the frame before detection, by its longer side (by_side) or its width (by_width): below 300 px ×2, up to
    1000 px ×1, up to 1900 px ×½, above ×⅓. none: native size."""
    search: Annotated[str, Field(pattern=r"^(every|follow:([2-9]|[1-9]\d+))$")]
    """every: each sampled frame is searched. follow:K: every Kth sampled frame is searched, and faces are followed in
    between; detectors that cannot follow faces search each frame."""
    second_look: bool
    """Whether frames without a face above ``threshold`` are searched again: brightened if they are dark, and at twice
    the size if ``resize`` reduced them."""
    track_iou: Fraction
    """Minimum intersection over union of consecutive boxes of a track, each box enlarged to twice its sides."""
    min_track_length: Positive
    """Number of detections below which a track is marked short, if at least five times as many frames were sampled."""
    track_gap: Annotated[int, Field(ge=0)]
    """Number of consecutive sampled frames that a track may miss."""
    static_shift: Annotated[float, Field(ge=0)]
    """Distance, as a fraction of the box's side, within which the centre of a static track stays; a track is marked
    static only if another one of the video moves more."""


class CropsConfig(Section):
    """How the crops of faces are stored."""

    margin: Annotated[float, Field(ge=0, le=2)]
    """Margin on all sides of the face box, as a fraction of its longer side."""
    max_side: Positive
    """Longer side of a crop in pixels above which it is scaled down to it; smaller crops keep their native size."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]
    """JPEG quality (1 to 100) of crops, and of frames with ``keep_frames``."""
    keep_frames: bool
    """Whether the sampled frames are also stored, as JPEG in the table ``frames``."""


class ExtractConfig(Section):
    """How extract splits its work, and its limits."""

    wave_videos: Positive
    """Number of videos committed together; a killed run loses at most one wave."""
    task_bytes: Positive
    """Target size of a task, in bytes of video."""
    max_attempts: Positive
    """Number of attempts, over several runs, to read a video for which storage fails."""
    max_video_bytes: Positive
    """Size in bytes above which a video fails with TOO_LARGE."""
    max_pixels: Positive
    """Width times height of a frame above which a video fails with TOO_LARGE."""
    max_frame_bytes: Positive
    """Bytes of a decoded frame above which a video fails with TOO_LARGE; 10-bit frames take 2 bytes a sample."""
    max_frames: Positive
    """Frames of a video above which it fails with TOO_LARGE."""
    max_total_pixels: Positive
    """Pixels of all frames of a video together above which it fails with TOO_LARGE; they bound the time of decoding."""
    max_index_entries: Positive
    """Samples that the index of an mp4 or mov declares, for all of its tracks together, above which a video fails with
    TOO_LARGE; each takes memory when the file is opened."""
    max_cpu_seconds: Positive
    """CPU seconds above which a video fails with TIMEOUT; a clip of 10 s takes about one."""
    max_video_memory: Positive
    """Bytes of memory, besides the process's own and the video's, above which a video fails with TOO_LARGE."""
    batch_bytes: Positive
    """Size in bytes from which a task passes an Arrow batch on to Spark."""
    since: Since
    """Only videos whose row in ``videos`` was written since then, a date or time (UTC); null: all."""


class RetryConfig(Section):
    """Which failed videos ``retry`` lets extract try again; set by its arguments."""

    reason: str | None
    """Reason of the failure, as in ``extractions.reason``; null: any."""
    videos: Names
    """Their video_ids; none: all."""
