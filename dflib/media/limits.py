"""What a video may cost before it is decoded."""

from dataclasses import dataclass, fields
from typing import Any, Self

from dflib.config import ExtractConfig
from dflib.errors import VideoError


@dataclass(frozen=True)
class Limits:
    """Limits of one video.  Each is the key of the same name in the section ``extract``, which messages name.

    Attributes:
        max_pixels: width times height of a frame.
        max_frame_bytes: bytes of a decoded frame.
        max_frames: frames of the video stream.
        max_total_pixels: pixels of all frames together, which bounds the time of decoding.
        max_index_entries: samples that an mp4 or mov declares, each of which costs memory when it is opened.
    """

    max_pixels: int
    max_frame_bytes: int
    max_frames: int
    max_total_pixels: int
    max_index_entries: int

    @classmethod
    def of(cls, extract: ExtractConfig) -> Self:
        """The limits of the section ``extract``."""
        return cls(**{limit.name: getattr(extract, limit.name) for limit in fields(cls)})

    def check_picture(self, width: int, height: int, pixel_format: Any = None) -> None:
        """Checks the size of a frame.

        Args:
            width, height: in pixels.
            pixel_format: ``av.VideoFormat``; None: not known.

        Raises:
            VideoError: TOO_LARGE.
        """
        if width * height > self.max_pixels:
            raise VideoError("TOO_LARGE", f"{width}x{height} pixels exceed extract.max_pixels={self.max_pixels}")
        size = width * height * pixel_format.padded_bits_per_pixel // 8 if pixel_format else 0
        if size > self.max_frame_bytes:
            raise VideoError(
                "TOO_LARGE",
                f"{width}x{height} pixels of {pixel_format.name} take {size} bytes, which exceed "
                f"extract.max_frame_bytes={self.max_frame_bytes}",
            )

    def check_length(self, frames: int, width: int, height: int) -> None:
        """Checks the number of frames, and of their pixels.

        Raises:
            VideoError: TOO_LARGE.
        """
        if frames > self.max_frames:
            raise VideoError("TOO_LARGE", f"more than extract.max_frames={self.max_frames} frames")
        if frames * width * height > self.max_total_pixels:
            raise VideoError(
                "TOO_LARGE",
                f"{frames} frames of {width}x{height} pixels exceed extract.max_total_pixels={self.max_total_pixels}",
            )
