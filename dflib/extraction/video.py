"""One video's bytes to the rows that it gives: its ledger entry, its sampled frames, its faces."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dflib.config import Config
from dflib.errors import VideoError
from dflib.extraction import crops, decode, sampling, search, tracks
from dflib.extraction.detect import Detector
from dflib.extraction.pose import pose

Row = dict[str, Any]
Turn = contextlib.AbstractContextManager[Any]


@dataclass(frozen=True)
class VideoRows:
    """Rows of one video as :mod:`dflib.tables.schemas` names their columns.

    Attributes:
        ledger: the columns of ``extractions`` that follow from the video's bytes.
        frames, faces: rows of these tables.
    """

    ledger: Row
    frames: list[Row]
    faces: list[Row]


class _Clock:
    """CPU seconds by what they were spent on.

    Decoding runs in the calling thread.  Detecting does not, so among several threads its share of the process
    can't be told.
    """

    def __init__(self, alone: bool) -> None:
        self.spent: dict[str, float | None] = {"decode": 0.0, "detect": 0.0 if alone else None}
        self._now = time.process_time if alone else time.thread_time
        self._last = self._now()

    def book(self, what: str) -> None:
        now = self._now()
        before = self.spent[what]
        if before is not None:
            self.spent[what] = before + now - self._last
        self._last = now


def extract_video(
    content: bytes,
    video_id: str,
    extractor: str,
    config: Config,
    detector: Detector,
    turn: Turn | None = None,
) -> VideoRows:
    """Samples, decodes, detects, tracks and crops.

    All faces of a sampled frame are looked for; which are kept is decided over the whole video by
    :func:`dflib.extraction.tracks.select`.  Crops of candidates are held encoded until then.

    Args:
        content: the video file's bytes.
        video_id, extractor: as in the rows.
        config: sampling, faces, crops and the limits of extract.
        detector: loaded as ``faces.detector`` says.
        turn: held while the detector is used, where several threads share it.

    Raises:
        VideoError: no wanted frame can be had (UNREADABLE, NO_VIDEO_STREAM, NO_FRAMES, TOO_LARGE, DECODE_ERROR).
    """
    clock = _Clock(alone=turn is None)
    survey = decode.survey(content, config.extract.max_pixels)
    wanted = sampling.wanted_frames(config.sampling.frames, survey.times, survey.keys, survey.duration)
    if not wanted:
        raise VideoError("NO_FRAMES", f"sampling.frames={config.sampling.frames} asks for none of its frames")
    plan = decode.plan(survey, wanted, config.sampling.max_offset)
    threshold = tracks.candidate_threshold(config.faces)
    problems = [survey.defect] if survey.defect else []

    frames: list[Row] = []
    sightings: list[tracks.Sighting] = []
    cuts: list[crops.Crop] = []
    rotation = 0
    decoded = decode.decode(content, survey, plan, config.extract.max_pixels, problems.append)
    for group in _timed(search.groups(decoded), clock):
        rotation = group[-1].rotation
        with turn or contextlib.nullcontext():
            found_in = search.search(group, detector, config.faces)
        for frame, faces_found in zip(group, found_in, strict=True):
            for found in faces_found:
                if found.confidence > threshold and crops.inside(found.box, frame.width, frame.height):
                    sightings.append(tracks.Sighting(len(frames), frame.time, found))
                    cuts.append(crops.cut(frame, found.box, config.crops))
            frames.append(_frame(frame, video_id, extractor, config))
        clock.book("detect")
        # Or two groups would be held while the next one is decoded.
        del group, frame, found_in
    if not frames:
        raise VideoError("DECODE_ERROR", problems[0] if problems else "none of the wanted frames came out")

    kept = tracks.select(sightings, config.faces, frames[-1]["time"] - frames[0]["time"], len(frames))
    faces = [_face(frames[sightings[face.place].frame], sightings[face.place], cuts[face.place], face) for face in kept]
    clock.book("detect")
    partial = len(frames) < len(plan.frames) or bool(problems)
    detail = "; ".join([f"{len(frames)} of {len(plan.frames)} frames decoded", *problems[:1]])
    ledger = {
        "outcome": "DONE",
        "reason": "PARTIAL" if partial else None,
        "detail": detail if partial else None,
        "width": frames[0]["width"],
        "height": frames[0]["height"],
        "rotation": rotation,
        "fps": survey.fps,
        "duration": survey.duration,
        "video_frames": len(survey.times),
        "frames_wanted": len(wanted),
        "frames": len(frames),
        "faces": len(faces),
        "decode_seconds": clock.spent["decode"],
        "detect_seconds": clock.spent["detect"],
    }
    return VideoRows(ledger, frames, faces)


def _timed(groups: Iterator[list[decode.Frame]], clock: _Clock) -> Iterator[list[decode.Frame]]:
    for group in groups:
        clock.book("decode")
        yield group
        del group
    clock.book("decode")


def _frame(frame: decode.Frame, video_id: str, extractor: str, config: Config) -> Row:
    return {
        "video_id": video_id,
        "extractor": extractor,
        "frame_index": frame.wanted.index,
        "wanted_time": frame.wanted.time,
        "time": frame.time,
        "width": frame.width,
        "height": frame.height,
        "scale": search.scale_of(frame.width, frame.height, config.faces),
        "faces": 0,
        "image": crops.jpeg(frame.rgb, config.crops.jpeg_quality) if config.crops.keep_frames else None,
    }


def _face(frame: Row, sighting: tracks.Sighting, crop: crops.Crop, kept: tracks.Kept) -> Row:
    """A row of ``faces``; counts itself in its frame's row, which gives it its number."""
    number = frame["faces"]
    frame["faces"] += 1
    x, y, width, height = sighting.detection.box
    points = sighting.detection.landmarks
    posed = pose(points)
    name = f"{frame['video_id']}/{frame['extractor']}/{frame['frame_index']:06d}/{number:02d}"
    return {
        "face_id": name,
        "video_id": frame["video_id"],
        "extractor": frame["extractor"],
        "frame_index": frame["frame_index"],
        "face_index": number,
        "time": frame["time"],
        "track": kept.track,
        "static": kept.static,
        "short": kept.short,
        "box_x": x,
        "box_y": y,
        "box_w": width,
        "box_h": height,
        "landmarks": None if points is None else points.ravel().tolist(),
        "confidence": sighting.detection.confidence,
        "crop_x": crop.x,
        "crop_y": crop.y,
        "crop_scale": crop.scale,
        "crop_w": crop.width,
        "crop_h": crop.height,
        "format": "jpeg",
        "image": crop.image,
        "sharpness": crop.sharpness,
        "brightness": crop.brightness,
        "frontal": posed.frontal if posed else None,
        "roll": posed.roll if posed else None,
    }
