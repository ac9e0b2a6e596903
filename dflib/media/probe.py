"""Finds the frames of a video from its packets, without decoding any, where the packets can be trusted.

Packets and shown frames usually correspond one to one.  Where they do not (times that start again, pictures that are
never shown, packets without a picture, frames that the decoder drops after a cut), every frame is decoded once to learn
which ones there are (:mod:`dflib.media.survey`), and the frames that are wanted are decoded after that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dflib.errors import VideoError
from dflib.media import completeness, pictures
from dflib.media.container import candidates, one_flv, opened, packets
from dflib.media.limits import Limits
from dflib.media.survey import survey
from dflib.media.timeline import JUMPING, StreamInfo, base_of, growing, rate_of

_REORDERED_UNSEEN = ("h264", "hevc")
"""Codecs of which FFmpeg can't tell the presentation times of packets in AVI, which stores none."""

_STATING_DURATION = ("matroska", "flv")
"""Containers that may be recorded without a size, of which the stated duration tells whether they are complete."""


_ASPECT_IN_FRAMES = ("mpegts", "mpeg", "avi", "flv", "ogg")
"""Containers without a shape of pixels of their own; in the others, theirs takes precedence."""


class _Packet(NamedTuple):
    pts: int | None
    dts: int | None
    key: bool
    duration: int
    picture: pictures.Picture


@dataclass(frozen=True)
class _Facts:
    """What the container tells about a stream.

    Attributes:
        info: the stream without its frames.
        container: FFmpeg's name of the format.
        base: seconds of a unit of time stamps; 0: unknown.
        rate: frames per second, as stated or guessed; 0: unknown.
        stated_rate: its number of frames by its duration; 0: unknown.
    """

    info: StreamInfo
    container: str
    base: float
    rate: float
    stated_rate: float


def probe(content: bytes, limits: Limits) -> StreamInfo:
    """Finds the frames of a video; frames that an edit list excludes are left out.

    Args:
        content: the file's bytes.
        limits: checked before anything is decoded.

    Raises:
        VideoError: UNREADABLE, NO_VIDEO_STREAM, NO_FRAMES or TOO_LARGE.
    """
    facts, found = _read(content, limits, None)
    if not found and facts.container == "mov":
        # Durations of 0 make an edit list exclude everything.
        facts, found = _read(content, limits, facts.info.stream, ignore_editlist="1")
        if not _lacks_durations(found):
            found = []
    if len(found) == 1:
        # FFmpeg may prefer a still image to the video beside it.
        for index in _others(content, limits, facts.info.stream):
            other, more = _read(content, limits, index)
            if len(more) > 1:
                facts, found = other, more
                break
    if not found:
        raise VideoError("NO_FRAMES", "the video stream has no packets")
    shown = [packet for packet in found if packet.picture.shown]
    if not shown:
        raise VideoError("NO_FRAMES", f"none of the {len(found)} packets of the video stream holds a picture")
    limits.check_length(len(shown), facts.info.width, facts.info.height)
    if facts.container == "mov" and _lacks_durations(found):
        return _without_durations(content, facts, limits)
    if facts.container == "avi" and facts.info.codec in _REORDERED_UNSEEN:
        return _from_slots(content, facts, shown, limits)
    return _from_stamps(facts, shown) or survey(content, limits, facts.info)


def _others(content: bytes, limits: Limits, index: int) -> list[int]:
    with opened(content, limits, index) as (container, _):
        return [other.index for other in candidates(container) if other.index != index]


def _read(content: bytes, limits: Limits, index: int | None, **options: str) -> tuple[_Facts, list[_Packet]]:
    """The packets of a video stream in the order of decoding, and what the container tells about it."""
    found: list[_Packet] = []
    problems: list[str] = []
    counts: dict[int, int] = {}
    places: dict[int, list[int]] = {}
    end, gap, last = 0.0, 0.0, None
    with opened(content, limits, index, **options) as (container, stream):
        context, own = stream.codec_context, stream.index
        of_packet = pictures.reader(context.name, context.extradata)
        name = container.format.name.partition(",")[0]
        counts = {other.index: 0 for other in candidates(container)}
        # Where only the duration tells whether the file is complete, the sound may last longer than the frames.
        timed = name in _STATING_DURATION
        read = container.streams if timed else [container.streams[other] for other in counts]
        for packet in packets(container, list(read), problems.append):
            index = packet.stream_index
            if index in counts:
                counts[index] += 1
                if len(counts) > 1:
                    places.setdefault(index, []).append(packet.pos)
            if timed and packet.dts is not None and packet.time_base:
                now = float(packet.dts * packet.time_base)
                end = max(end, now + float((packet.duration or 0) * packet.time_base))
                if index == own:
                    gap = max(gap, now - last) if last is not None else gap
                    last = now
            if index != own or packet.is_discard:
                continue
            if len(found) == limits.max_frames:
                raise VideoError("TOO_LARGE", f"more than extract.max_frames={limits.max_frames} frames")
            picture = of_packet(bytes(packet)) if of_packet else pictures.UNKNOWN
            found.append(_Packet(packet.pts, packet.dts, bool(packet.is_keyframe), packet.duration or 0, picture))
        if any(entry.pos + entry.size > len(content) for entry in stream.index_entries):
            problems.append("the file ends before its last frame")
        ending = completeness.examine(one_flv(content), name)
        stated = completeness.stated_duration(content, name, container)
        if timed and not ending.cut:
            ending = completeness.by_duration(stated, end, gap)
        if places and (follows := _following(places, own)) is not None:
            problems.append(f"stream {follows} follows after stream {own} and was not looked at")
        base = base_of(stream)
        marks = [f"END_UNKNOWN: {ending.unknown}"] if ending.unknown else []
        if len(counts) > 1:
            marks.append(f"VIDEO_STREAMS: {len(counts)}; stream {stream.index} was used")
            stills = [other for other, count in counts.items() if count == 1 and other != stream.index]
            marks += [f"STILL_STREAM: stream {other} is one still image" for other in stills]
        nothing = np.zeros(0)
        info = StreamInfo(
            stream=stream.index,
            codec=context.name,
            width=context.width,
            height=context.height,
            times=nothing,
            stamps=None,
            keys=nothing.astype(bool),
            idr=None,
            referenced=None,
            duration=0.0,
            inspected=of_packet is not None,
            # Where the stated duration agrees with the stamps, a gap is a long still picture.
            jumping=name in JUMPING and not (stated is not None and abs(stated - end) <= completeness.TOLERANCE + gap),
            aspect_in_frames=name in _ASPECT_IN_FRAMES,
            options=tuple(options.items()),
            defect=ending.cut or (problems[0] if problems else None),
            marks=tuple(marks),
        )
        stated_rate = stream.frames / float(stream.duration * stream.time_base) if stream.duration and base else 0.0
        facts = _Facts(info, name, base, rate_of(stream), stated_rate)
    return facts, found


def _following(places: dict[int, list[int]], own: int) -> int | None:
    """A video stream of several packets that lies wholly before or after the own one in the file; None: there is none.

    Recordings that were joined may have other streams in their second part.
    """
    known = {index: [place for place in held if place >= 0] for index, held in places.items()}
    for index, held in known.items():
        apart = len(held) > 1 and known.get(own) and (min(held) > max(known[own]) or max(held) < min(known[own]))
        if index != own and apart:
            return index
    return None


def _lacks_durations(found: Sequence[_Packet]) -> bool:
    """Whether the samples of an mp4 have no durations: decoding times are their sums, and FFmpeg guesses without."""
    times = [packet.dts for packet in found if packet.dts is not None]
    return len(times) > 1 and (len(set(times)) == 1 or _decreases(times))


def _decreases(times: Sequence[int]) -> bool:
    return any(after < before for before, after in pairwise(times))


def _without_durations(content: bytes, facts: _Facts, limits: Limits) -> StreamInfo:
    """Frames without durations follow each other at the frame rate, if there is one."""
    rate = facts.stated_rate or facts.rate
    if rate <= 0:
        raise VideoError("UNREADABLE", "all its samples have duration 0, and no frame rate is stated")
    options = (("ignore_editlist", "1"),) if facts.container == "mov" else ()  # an edit list refers to the durations
    return survey(content, limits, replace(facts.info, options=options), untimed_rate=rate)


def _from_slots(content: bytes, facts: _Facts, shown: Sequence[_Packet], limits: Limits) -> StreamInfo:
    """Without presentation times in AVI, frames are shown in the places of packets, one after the other.

    A place without a packet shows the frame before it again.
    """
    places = sorted(packet.dts for packet in shown if packet.dts is not None)
    if len(set(places)) < len(shown):
        return survey(content, limits, facts.info)
    times, duration, mark = growing(places, facts.base, facts.rate, jumping=False)
    return facts.info.with_frames(
        times,
        duration,
        mark,
        keys=np.array([packet.key for packet in shown]),
    )


def _from_stamps(facts: _Facts, shown: Sequence[_Packet]) -> StreamInfo | None:
    """The frames by the presentation times of their packets; None if these cannot be trusted."""
    stamps = [packet.pts for packet in shown if packet.pts is not None]
    decoded = [packet.dts for packet in shown if packet.dts is not None]
    if len(set(stamps)) < len(shown) or facts.base <= 0 or _decreases(decoded):
        return None
    order = sorted(range(len(shown)), key=lambda place: stamps[place])
    known = [stamps[place] for place in order]
    times, duration, mark = growing(known, facts.base, facts.rate, facts.info.jumping)
    if len(shown) == 1 and facts.rate <= 0:
        duration = shown[0].duration * facts.base
    kinds = [shown[place].picture for place in order]
    told = all(kind.idr is not None for kind in kinds)
    return facts.info.with_frames(
        times,
        duration,
        mark,
        stamps=np.array(known, dtype=np.int64),
        keys=np.array([shown[place].key for place in order]),
        idr=np.array([kind.idr for kind in kinds], dtype=bool) if told else None,
        referenced=np.array([kind.referenced for kind in kinds], dtype=bool) if told else None,
    )
