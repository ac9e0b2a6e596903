"""The page of a chain: what it shows, and that hostile names stay text."""

import re
from typing import Any

from dflib.proof import page
from dflib.proof.chain import Chain
from dflib.proof.replay import Check

RULE = "mean(t=0.5,static=out,min_faces=1)"
SCORES = {0: 1.0, 2: 0.0, 3: 0.5}


def face(number: int, frame: int, track: int | None, static: bool = False) -> dict[str, Any]:
    return {
        "face_id": f"v/{number}", "frame_index": frame, "face_index": 0, "track": track, "static": static,
        "box_x": 1.0, "box_y": 2.0, "box_w": 30.0, "box_h": 40.0, "confidence": 0.99, "format": "jpeg",
        "image_sha256": f"{number:02}" * 32,
    }  # fmt: skip


def chain(**video: Any) -> Chain:
    """Two tracks in three frames; the second face of track 0 has no score."""
    faces = [face(0, 0, 0), face(1, 10, 0), face(2, 10, 1, static=True), face(3, 20, 0)]
    verdict = {
        "extractor": "x", "model_id": "m", "rule": RULE, "verdict": "FAKE", "reason": None, "p_fake": 0.75,
        "faces_used": 3, "judged_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    data = {
        "video": {"video_id": "d/v", "label": None, "chunk": "c", "uri": "file:///c.zip", "member": "v.mp4",
                  "packing": "stored", "offset": 10, "length": 90, "size": 80, "crc32": 1, "problems": [], **video},
        "extraction": {"extractor": "x", "outcome": "DONE", "reason": None, "detail": None, "frames": 3,
                       "frames_wanted": 3, "faces": 4, "decoder": "d", "run_id": "r", "sha256": "ab", "duration": 2.0},
        "settings": None,
        "frames": [{"frame_index": frame, "time": frame / 10} for frame in (0, 10, 20)],
        "faces": faces,
        "model": {"model_id": "m", "network": "meso4", "sha256": "cd", "origin": "trained", "positive": "fake",
                  "view": "{}"},
        "predictions": [{"face_id": f"v/{number}", "p_fake": score} for number, score in SCORES.items()],
        "verdicts": [verdict],
        "held": [],
        "current": verdict,
        "runs": {},
        "versions": {"faces": 3},
    }  # fmt: skip
    return Chain(data, {f"v/{number}": f"image {number}".encode() for number in range(4)})


def places(html: str, kind: str) -> list[tuple[float, float]]:
    """Centres of the circles of a kind, in units of the drawing."""
    found = re.findall(rf'<circle class="{kind} t\d" cx="([\d.]+)" cy="([\d.]+)"', html)
    return [(float(x), float(y)) for x, y in found]


def test_faces_stand_at_their_time_and_score_and_in_the_lane_of_their_track() -> None:
    html = page.render(chain())
    left, right = page.MARGIN, page.WIDTH - page.MARGIN
    top, bottom = 10, page.CHART - 10
    middle = (left + right) / 2
    # p_fake 1 is at the top, 0 at the bottom; the face without a score has a mark in its lane only.
    assert places(html, "point") == [(left, top), (middle, bottom), (right, (top + bottom) / 2)]
    marks = places(html, "mark")
    assert [x for x, _ in marks] == [left, middle, middle, right]
    assert marks[0][1] == marks[1][1] == marks[3][1] < marks[2][1]


def test_page_names_verdict_replay_and_chain() -> None:
    html = page.render(chain(), [Check("bytes", "equal"), Check("frames", "differs", "2 are stored")])
    assert '<b class="FAKE">FAKE</b>' in html and "0.750" in html and "3 of 4" in html
    assert "frames is the first link that differs (2 are stored)" in html
    assert "file:///c.zip, member v.mp4, bytes 10 to 100, stored" in html
    assert html.count("data:image/jpeg;base64,") == 4
    assert "Replay" not in page.render(chain())


def test_hostile_names_stay_text() -> None:
    name = "<script>alert(1)</script>"
    html = page.render(chain(video_id=name, member=name, problems=[f"X: {name}"]))
    assert name not in html and html.count("<script>") == 1


def test_video_without_faces_says_why() -> None:
    empty = chain()
    data = empty.data | {"faces": [], "frames": [], "predictions": [], "verdicts": [], "current": None}
    data["extraction"] = data["extraction"] | {"outcome": "FAILED", "reason": "UNREADABLE", "detail": "no moov"}
    html = page.render(Chain(data, {}))
    assert "FAILED, UNREADABLE: no moov" in html and "There is no face: UNREADABLE" in html and "<svg" not in html
