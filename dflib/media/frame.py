"""A decoded frame as a viewer sees it: upright, with square pixels, in standard colours."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dflib.media import tone_map
from dflib.media.orientation import UPRIGHT, Orientation

Image = NDArray[np.uint8]

_TRANSFERS = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
    17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
_MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip


@dataclass(frozen=True)
class FrameRequest:
    """A requested frame.

    Attributes:
        index: of the frame in presentation order.
        time: as requested by the sampling, seconds from the first frame; the frame's own time may differ.
    """

    index: int
    time: float


@dataclass(frozen=True)
class Frame:
    """One decoded frame, kept in the decoder's format, since most of its pixels are never needed as RGB.

    Attributes:
        request: that it answers.
        time: presentation time, seconds from the first frame.
        decoded: ``av.VideoFrame``.
        orientation: how the stored frame is turned for display.
        square_width: width of the stored frame in square pixels; None: its pixels are square.
    """

    request: FrameRequest
    time: float
    decoded: Any
    orientation: Orientation = UPRIGHT
    square_width: int | None = None

    @property
    def width(self) -> int:
        """Pixels, as displayed."""
        return self._displayed_size[0]

    @property
    def height(self) -> int:
        """Pixels, as displayed."""
        return self._displayed_size[1]

    @functools.cached_property
    def rgb(self) -> Image:
        """The whole frame as displayed: uint8 RGB, shape (height, width, 3)."""
        return self._rgb(self.decoded, self._square_size, "BICUBIC")

    def resized(self, width: int, height: int) -> Image:
        """The whole frame as displayed, resized by area averaging, or bilinearly when enlarged; uint8 RGB."""
        if (width, height) == (self.width, self.height):
            return self.rgb
        stored = (height, width) if self.orientation.swaps_sides else (width, height)
        return self._rgb(self.decoded, stored, "AREA" if width < self.width else "BILINEAR")

    def region(self, left: int, top: int, right: int, bottom: int, size: tuple[int, int] | None = None) -> Image:
        """``rgb[top:bottom, left:right]``, bit-identical; where possible, no other pixels are converted to RGB.

        Args:
            left, top, right, bottom: whole pixels; with ``size``, even ones in a frame of even size.
            size: width and height to which the region is resized by area averaging.
        """
        import av
        import cv2

        if not self._plain or "rgb" in self.__dict__:
            part = self.rgb[top:bottom, left:right]
            return part if size is None else np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        # In YUV 4:2:0, two by two pixels share their chroma.
        x, y, right_even, bottom_even = left & ~1, top & ~1, right + (right & 1), bottom + (bottom & 1)
        parts = []
        for plane, factor in zip(self.decoded.planes, (1, 2, 2), strict=True):
            whole = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            parts.append(whole[y // factor : bottom_even // factor, x // factor : right_even // factor].ravel())
        cut = av.VideoFrame.from_ndarray(np.concatenate(parts).reshape(-1, right_even - x), format="yuv420p")
        cut.colorspace, cut.color_range = self.decoded.colorspace, self.decoded.color_range
        if size is None:
            return _converted(cut)[top - y : bottom - y, left - x : right - x]
        # An eighth of the time that resizing RGB takes.
        return _converted(cut, size, "AREA")

    @property
    def bytes(self) -> int:
        """Approximate memory: of the decoder's format, and of RGB where a region needs the whole frame as RGB."""
        stored: int = sum(plane.buffer_size for plane in self.decoded.planes)
        return stored if self._plain else stored + 3 * self.width * self.height

    @property
    def transfer(self) -> str | None:
        """FFmpeg's name of the transfer characteristics; None: not stated."""
        return _TRANSFERS.get(self.decoded.color_trc)

    @property
    def matrix(self) -> str | None:
        """FFmpeg's name of the matrix coefficients; None: not stated."""
        return _MATRICES.get(self.decoded.colorspace)

    @property
    def _square_size(self) -> tuple[int, int]:
        """Width and height of the stored frame in square pixels."""
        return self.square_width or self.decoded.width, self.decoded.height

    @property
    def _displayed_size(self) -> tuple[int, int]:
        width, height = self._square_size
        return (height, width) if self.orientation.swaps_sides else (width, height)

    @property
    def _plain(self) -> bool:
        """Whether a region of the planes is a region of the frame as displayed."""
        even = self.width % 2 == 0 and self.height % 2 == 0 and self.orientation.upright and self.square_width is None
        return (
            even
            and self.decoded.format.name == "yuv420p"
            and not self.decoded.interlaced_frame
            and not tone_map.is_hdr(self.decoded)
        )

    def _rgb(self, decoded: Any, size: tuple[int, int], interpolation: str) -> Image:
        """A frame as displayed, of the given size before it is turned."""
        if tone_map.is_hdr(decoded):
            import cv2

            image = tone_map.to_rgb(decoded)
            if size != (decoded.width, decoded.height):
                image = np.asarray(
                    cv2.resize(image, size, interpolation=getattr(cv2, _OF_CV2[interpolation])), np.uint8
                )
        else:
            image = _converted(decoded, size, interpolation)
        return self.orientation.apply(image)


_OF_CV2 = {"AREA": "INTER_AREA", "BILINEAR": "INTER_LINEAR", "BICUBIC": "INTER_CUBIC"}


def _converted(decoded: Any, size: tuple[int, int] | None = None, interpolation: str = "BILINEAR") -> Image:
    if size is None or size == (decoded.width, decoded.height):
        return np.asarray(decoded.reformat(format="rgb24", threads=1).to_ndarray(), np.uint8)
    resized = decoded.reformat(*size, format="rgb24", interpolation=interpolation, threads=1)
    return np.asarray(resized.to_ndarray(), np.uint8)
