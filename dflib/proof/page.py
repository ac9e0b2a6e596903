"""A chain as a self-contained HTML page with a time line: p_fake over time, a lane for each track, the crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dflib.pages import html
from dflib.proof import text
from dflib.proof.chain import Chain
from dflib.proof.replay import Check, first_difference

WIDTH, CHART, LANE = 1000, 220, 26
"""Sizes of the drawing: its width, the height of the chart of scores, and of the lane of a track, in its own units."""
MARGIN = 46
TRACK_CLASSES = 6
"""Colours of tracks, which repeat."""


@dataclass(frozen=True)
class Point:
    """A face on the time line.

    Attributes:
        number: of the face, in order of time.
        x: across, in units of the drawing.
        y: of its score in the chart; None: no score.
        lane: y of its track's lane.
        colour: number of the colour of its track.
        face: the face as in the chain.
        p_fake: its score; None: none.
        time: seconds from the first frame; None: unknown.
        image: its crop as a ``data:`` URI.
    """

    number: int
    x: float
    y: float | None
    lane: float
    colour: int
    face: dict[str, Any]
    p_fake: float | None
    time: float | None
    image: str


@dataclass(frozen=True)
class TimeLine:
    """What the drawing shows: points, lines between those of a track, lanes by track, ticks of time, and its height."""

    points: list[Point]
    lines: list[tuple[int, str]]
    lanes: list[tuple[float, str]]
    ticks: list[tuple[float, str]]
    height: float


def render(chain: Chain, checks: Sequence[Check] = ()) -> str:
    """The page.

    Args:
        chain: the chain.
        checks: what a replay compared; may be empty.
    """
    data = chain.data
    return html.render(
        "dflib.proof",
        "explain.html.j2",
        html.read_script("dflib.proof", "explain.js"),
        data=data,
        line=_time_line(chain),
        checks=checks,
        difference=first_difference(checks),
        lines=list(text.lines(data)),
        place=text.place(data["video"]),
        current=next((row for row in data["verdicts"] if text.is_current(row, data["current"])), None),
        is_current=lambda row: text.is_current(row, data["current"]),
        width=WIDTH,
        chart=CHART,
        margin=MARGIN,
    )


def _y(p_fake: float) -> float:
    return 10 + (CHART - 20) * (1 - p_fake)


def _time_line(chain: Chain) -> TimeLine:
    data = chain.data
    scores = {row["face_id"]: row["p_fake"] for row in data["predictions"]}
    times = {row["frame_index"]: row["time"] for row in data["frames"]}
    faces = sorted(data["faces"], key=lambda face: (face["frame_index"], face["face_index"]))
    # Ready-cut crops have no times: their place is that of their frame.
    places = [times.get(face["frame_index"]) for face in faces]
    in_seconds = all(place is not None for place in places)
    values = [float(place if in_seconds and place is not None else face["frame_index"])
              for place, face in zip(places, faces, strict=True)]  # fmt: skip
    duration = data["extraction"]["duration"] if in_seconds else None
    end = max([*values, duration or 0, 1e-9])
    tracks = sorted({face["track"] for face in faces}, key=lambda track: (track is None, track or 0))
    lanes = {track: float(CHART + LANE * (number + 1)) for number, track in enumerate(tracks)}
    points = []
    for number, (face, value, place) in enumerate(zip(faces, values, places, strict=True)):
        score = scores.get(face["face_id"])
        kind = "png" if face["format"] == "png" else "jpeg"
        points.append(
            Point(
                number,
                MARGIN + (WIDTH - 2 * MARGIN) * value / end,
                None if score is None else _y(score),
                lanes[face["track"]],
                tracks.index(face["track"]) % TRACK_CLASSES,
                face,
                score,
                place,
                html.data_uri(chain.images[face["face_id"]], kind),
            )
        )
    lines = []
    for track in tracks:
        own = [point for point in points if point.face["track"] == track and point.y is not None]
        lines.append((tracks.index(track) % TRACK_CLASSES, " ".join(f"{p.x:.1f},{p.y:.1f}" for p in own)))
    ticks = [
        (MARGIN + (WIDTH - 2 * MARGIN) * step / 5, f"{end * step / 5:.1f} s" if in_seconds else f"{end * step / 5:.0f}")
        for step in range(6)
    ]
    names = [(lanes[track], "no track" if track is None else f"track {track}") for track in tracks]
    return TimeLine(points, lines, names, ticks, CHART + LANE * (len(tracks) + 1) + 24)
