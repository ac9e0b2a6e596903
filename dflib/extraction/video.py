"""From the bytes of one video to its rows: its ledger entry, its sampled frames and its faces."""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dflib.config import Config
from dflib.errors import VideoError
from dflib.extraction import crops, sampling, search, tracks
from dflib.extraction.detect import Detection, Detector
from dflib.extraction.pose import pose
from dflib.media.decode import Findings, UnannouncedFramesError, decode
from dflib.media.frame import Frame
from dflib.media.limits import Limits
from dflib.media.plan import plan
from dflib.media.probe import probe
from dflib.media.survey import survey
from dflib.media.timeline import StreamInfo

log = logging.getLogger(__name__)

Row = dict[str, Any]
Lock = contextlib.AbstractContextManager[Any]


@dataclass(frozen=True)
class VideoRows:
    """Rows of one video, with the columns of :mod:`dflib.tables.schemas`.

    Attributes:
        ledger: the columns of ``extractions`` that follow from the video's bytes.
        frames, faces: rows of the tables of these names.
    """

    ledger: Row
    frames: list[Row]
    faces: list[Row]


class _CpuTimer:
    """CPU seconds of decoding and detecting.

    Decoding runs in the calling thread.  Detecting runs in other threads too, so with several videos in parallel its
    share of the process's CPU time is unknown.
    """

    def __init__(self, alone: bool) -> None:
        self.seconds: dict[str, float | None] = {"decode": 0.0, "detect": 0.0 if alone else None}
        self._now = time.process_time if alone else time.thread_time
        self._last = self._now()

    def lap(self, stage: str) -> None:
        """Adds the CPU time since the last call to a stage."""
        now = self._now()
        before = self.seconds[stage]
        if before is not None:
            self.seconds[stage] = before + now - self._last
        self._last = now


def extract_video(
    content: bytes,
    video_id: str,
    extractor: str,
    config: Config,
    detector: Detector,
    detector_lock: Lock | None = None,
) -> VideoRows:
    """Samples, decodes, detects, tracks and crops.

    :func:`dflib.extraction.tracks.select` chooses the faces to keep once the whole video is known; until then, the
    encoded crops of all candidates are held.

    Args:
        content: the video file's bytes.
        video_id, extractor: as in the rows.
        config: the sections sampling, faces and crops, and the limits of extract.
        detector: the one named in ``faces.detector``.
        detector_lock: held while the detector runs; for detectors shared by several threads.

    Raises:
        VideoError: no requested frame is available (UNREADABLE, NO_VIDEO_STREAM, NO_FRAMES, TOO_LARGE, DECODE_ERROR).
    """
    timer = _CpuTimer(alone=detector_lock is None)
    limits = Limits.of(config.extract)
    info = probe(content, limits)
    try:
        return _extracted(content, info, limits, video_id, extractor, config, detector, detector_lock, timer)
    except UnannouncedFramesError as error:
        log.info("%s: decoded twice: %s", video_id, error)
    info = survey(content, limits, info)
    return _extracted(content, info, limits, video_id, extractor, config, detector, detector_lock, timer)


def _extracted(
    content: bytes,
    info: StreamInfo,
    limits: Limits,
    video_id: str,
    extractor: str,
    config: Config,
    detector: Detector,
    detector_lock: Lock | None,
    timer: _CpuTimer,
) -> VideoRows:
    requests = sampling.sample(config.sampling.frames, info.times, info.keys, info.duration)
    if not requests:
        raise VideoError("NO_FRAMES", f"sampling.frames={config.sampling.frames} selects no frame of the video")
    planned = plan(info, requests, config.sampling.max_offset)
    threshold = tracks.candidate_threshold(config.faces)
    findings = Findings()

    frames: list[Row] = []
    candidates: list[tracks.Candidate] = []
    encoded: list[crops.EncodedCrop] = []
    seen: Row = {}
    decoded = decode(content, info, planned, limits, findings, config.sampling.deinterlace)
    for group in _timed(search.groups(decoded), timer):
        seen = seen or _seen(group[0])
        with detector_lock or contextlib.nullcontext():
            found_in = search.search(group, detector, config.faces)
        for frame, detections in zip(group, found_in, strict=True):
            for detection in detections:
                if detection.confidence > threshold and crops.inside(detection.box, frame.width, frame.height):
                    candidates.append(tracks.Candidate(len(frames), frame.time, detection))
                    encoded.append(crops.cut(frame, detection.box, config.crops))
            frames.append(_frame(frame, video_id, extractor, config))
        timer.lap("detect")
        # Otherwise two groups would be held while the next one is decoded.
        del group, frame, found_in
    problems = ([info.defect] if info.defect else []) + findings.problems
    if not frames:
        raise VideoError(
            "DECODE_ERROR", problems[0] if problems else "the decoder returned none of the requested frames"
        )

    kept = tracks.select(candidates, config.faces, frames[-1]["time"] - frames[0]["time"], len(frames))
    faces = [
        _face(frames[candidates[face.index].frame], candidates[face.index].detection, encoded[face.index], face)
        for face in kept
    ]
    timer.lap("detect")
    partial = len(frames) < len(planned.requests) or bool(problems)
    detail = "; ".join([f"{len(frames)} of {len(planned.requests)} frames decoded", *problems[:1]])
    ledger = {
        "outcome": "DONE",
        "reason": "PARTIAL" if partial else None,
        "detail": detail if partial else None,
        **seen,
        "fps": info.fps,
        "duration": info.duration,
        "video_frames": len(info.times),
        "frames_wanted": len(requests),
        "frames": len(frames),
        "faces": len(faces),
        "marks": [*info.marks, *findings.marks(config.sampling.deinterlace)],
        "decode_seconds": timer.seconds["decode"],
        "detect_seconds": timer.seconds["detect"],
    }
    return VideoRows(ledger, frames, faces)


def _seen(frame: Frame) -> Row:
    """The columns of the ledger that the first frame tells."""
    return {
        "width": frame.width,
        "height": frame.height,
        "rotation": frame.orientation.rotation,
        "mirrored": frame.orientation.mirrored,
        "transfer": frame.transfer,
        "matrix": frame.matrix,
    }


def _timed(groups: Iterator[list[Frame]], timer: _CpuTimer) -> Iterator[list[Frame]]:
    for group in groups:
        timer.lap("decode")
        yield group
        del group
    timer.lap("decode")


def _frame(frame: Frame, video_id: str, extractor: str, config: Config) -> Row:
    return {
        "video_id": video_id,
        "extractor": extractor,
        "frame_index": frame.request.index,
        "wanted_time": frame.request.time,
        "time": frame.time,
        "width": frame.width,
        "height": frame.height,
        "scale": search.scale_of(frame.width, frame.height, config.faces),
        "faces": 0,
        "image": crops.jpeg(frame.rgb, config.crops.jpeg_quality) if config.crops.keep_frames else None,
    }


def _face(frame: Row, detection: Detection, crop: crops.EncodedCrop, kept: tracks.Kept) -> Row:
    """A row of ``faces``; increments the count of its frame's row, from which it takes its number."""
    number = frame["faces"]
    frame["faces"] += 1
    x, y, width, height = detection.box
    landmarks = detection.landmarks
    face_pose = pose(landmarks)
    face_id = f"{frame['video_id']}/{frame['extractor']}/{frame['frame_index']:06d}/{number:02d}"
    return {
        "face_id": face_id,
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
        "landmarks": None if landmarks is None else landmarks.ravel().tolist(),
        "confidence": detection.confidence,
        "crop_x": crop.x,
        "crop_y": crop.y,
        "crop_scale": crop.scale,
        "crop_w": crop.width,
        "crop_h": crop.height,
        "format": "jpeg",
        "image": crop.image,
        "sharpness": crop.sharpness,
        "brightness": crop.brightness,
        "frontal": face_pose.frontal if face_pose else None,
        "roll": face_pose.roll if face_pose else None,
    }
