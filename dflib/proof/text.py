"""A chain as text for a terminal."""

import json
from collections.abc import Iterator
from typing import Any

from dflib.proof.replay import Check
from dflib.reporting.text import printable


def render(data: dict[str, Any]) -> str:
    """The links of a chain in order, one or a few lines each."""
    return "\n".join(printable(line) for line in lines(data))


def of_check(check: Check) -> str:
    """One line about a link that was compared."""
    return printable(f"compared    {check.link}: {check.outcome}{f' ({check.detail})' if check.detail else ''}")


def lines(data: dict[str, Any]) -> Iterator[str]:
    """The links of a chain as lines; further lines of a link are indented."""
    video, extraction, model = data["video"], data["extraction"], data["model"]
    yield f"video       {video['video_id']}, label {video['label'] or 'unknown'}, chunk {video['chunk']}"
    yield f"bytes       {place(video)}"
    hashes = f"CRC-32 {_hex(video['crc32'])}, SHA-256 {extraction['sha256'] or '?'}"
    yield f"            {video['size'] or 0:,} bytes, {hashes}"
    for problem in video["problems"]:
        yield f"            {problem}"
    yield (
        f"extraction  {extraction['extractor']}: {extraction['outcome']}"
        f"{_reason(extraction)}; {extraction['frames']} of {extraction['frames_wanted'] or 0} frames, "
        f"{extraction['faces']} faces; {extraction['decoder'] or 'decoder unknown'}"
    )
    yield f"            run {extraction['run_id']}{_run(data, extraction['run_id'])}"
    settings = data["settings"]
    if settings:
        for section, values in settings.items():
            yield f"            {section}: {json.dumps(values, sort_keys=True)}"
    if model is None:
        yield "model       none"
        return
    yield f"model       {model['model_id']}: {model['network']}, SHA-256 {model['sha256']}"
    yield f"            origin {model['origin']}; its own output 1 means {model['positive']}"
    yield f"            view {model['view']}"
    yield from _faces(data)
    for row in data["verdicts"]:
        yield _verdict("verdict", row, is_current(row, data["current"]))
    for row in data["held"]:
        yield _verdict("held", row, False)
    if not data["verdicts"] and not data["held"]:
        yield "verdict     none by this model; run report"
    yield f"tables      {', '.join(f'{name} {version}' for name, version in data['versions'].items())}"


def _faces(data: dict[str, Any]) -> Iterator[str]:
    scores = {row["face_id"]: row["p_fake"] for row in data["predictions"]}
    times = {row["frame_index"]: row["time"] for row in data["frames"]}
    heads = f"{'frame':>6} {'time':>8} {'track':>5} {'box':>23} {'confidence':>10} {'p_fake':>7}  SHA-256 of the crop"
    yield f"faces       {heads}"
    for face in sorted(data["faces"], key=lambda face: (face["frame_index"], face["face_index"])):
        edges = [face[f"box_{side}"] for side in "xywh"]
        box = "ready-cut" if edges[0] is None else " ".join(f"{edge:.0f}" for edge in edges)
        time = times.get(face["frame_index"])
        score = scores.get(face["face_id"])
        yield (
            f"            {face['frame_index']:>6} {_number(time, '.2f'):>8} {face['track']!s:>5} {box:>23} "
            f"{_number(face['confidence'], '.4f'):>10} {_number(score, '.4f'):>7}  {face['image_sha256'][:16]}"
            f"{' static' if face['static'] else ''}"
        )


def _verdict(word: str, row: dict[str, Any], is_current: bool) -> str:
    score = "" if row["p_fake"] is None else f", p_fake {row['p_fake']:.4f}"
    reason = f" ({row['reason']})" if row["reason"] else ""
    return (
        f"{word:<11} {row['verdict']}{reason}{score} by {row['rule']}, {row['faces_used']} faces; {row['judged_at']}"
        f"{'; current' if is_current else ''}"
    )


def is_current(row: dict[str, Any], current: dict[str, Any] | None) -> bool:
    """Whether a verdict is the current one of its video."""
    return current is not None and all(row[name] == current[name] for name in ("extractor", "model_id", "rule"))


def place(video: dict[str, Any]) -> str:
    """Where the bytes of a video are: the file, and the member with its range of bytes."""
    if video["uri"] is None:
        return "no file"
    uri = str(video["uri"])
    if video["packing"] in ("stored", "deflated"):
        end = video["offset"] + video["length"]
        return f"{uri}, member {video['member']}, bytes {video['offset']:,} to {end:,}, {video['packing']}"
    return uri


def _reason(extraction: dict[str, Any]) -> str:
    return f" ({extraction['reason']}: {extraction['detail']})" if extraction["reason"] else ""


def _run(data: dict[str, Any], run_id: str) -> str:
    record = data["runs"].get(run_id)
    return f", dflib {record['code_version']}" if record else ", its record is gone"


def _hex(value: int | None) -> str:
    return "?" if value is None else f"{value:08x}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
