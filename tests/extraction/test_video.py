"""From the bytes of a video to its rows: real clips with known content, and damaged ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dflib.config import Config
from dflib.errors import VideoError
from dflib.extraction.detectors.mtcnn import Mtcnn
from dflib.extraction.video import VideoRows, extract_video
from dflib.tables.schemas import FACES, FRAMES
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tools.demo.clips import encode_bytes


def sampled(config: Config, frames: str, **crops: Any) -> Config:
    return config.model_copy(
        update={
            "sampling": config.sampling.model_copy(update={"frames": frames}),
            "crops": config.crops.model_copy(update=crops),
        }
    )


def frames_with(rows: VideoRows, **columns: Any) -> int:
    faces = [face for face in rows.faces if all(face[name] == value for name, value in columns.items())]
    return len({face["frame_index"] for face in faces})


@pytest.mark.shared
@pytest.mark.parametrize("name", ["abofeumbvv", "abqwwspghj", "anndvqgoko", "knqhpwoigk"])
def test_extract_video_finds_the_person_of_a_real_clip(
    name: str, sample_data: Path, config: Config, mtcnn: Mtcnn
) -> None:
    content = (sample_data / "dfdc" / "dfdc_train_part_0" / f"{name}.mp4").read_bytes()
    rows = extract_video(content, name, "x", sampled(config, "even:20"), mtcnn)
    assert len(rows.frames) == 20 and frames_with(rows, static=False) >= 19
    assert frames_with(rows, static=True) == 0
    # One person, so never two faces in a frame, and always in the upper middle of the image.
    assert len(rows.faces) == frames_with(rows)
    assert all(700 < face["box_x"] + face["box_w"] / 2 < 1300 and face["box_y"] < 400 for face in rows.faces)


@pytest.mark.shared
def test_extract_video_marks_portraits_on_the_wall_static(sample_data: Path, config: Config, mtcnn: Mtcnn) -> None:
    """720x1280: a woman right of the middle, who is not static, and framed portraits at the left edge."""
    content = (sample_data / "dfdc" / "dfdc_train_part_0" / "yhffcuhhjy.mp4").read_bytes()
    rows = extract_video(content, "yhffcuhhjy", "x", sampled(config, "even:20"), mtcnn)
    woman = [face for face in rows.faces if face["box_x"] > 250]
    portraits = [face for face in rows.faces if face["box_x"] < 100]
    assert len(woman) + len(portraits) == len(rows.faces)
    assert len({face["frame_index"] for face in woman}) >= 19 and {face["static"] for face in woman} == {False}
    assert len(portraits) >= 15 and {face["static"] for face in portraits} == {True}


def test_extract_video_returns_rows_with_the_columns_of_the_tables(config: Config, mtcnn: Mtcnn, portrait: Rgb) -> None:
    content, _ = encode_bytes(with_portrait(portrait, 12))
    rows = extract_video(content, "t/a", "x", sampled(config, "even:3", keep_frames=True), mtcnn)
    assert {tuple(row) for row in rows.frames} == {tuple(FRAMES.schema.names)}
    assert {tuple(row) for row in rows.faces} == {tuple(FACES.schema.names)}
    assert [frame["faces"] for frame in rows.frames] == [1, 1, 1] and rows.ledger["faces"] == 3
    assert all(frame["image"].startswith(b"\xff\xd8") for frame in rows.frames)
    face = rows.faces[0]
    points = np.array(face["landmarks"]).reshape(5, 2)
    assert (points[:, 0] > face["box_x"]).all() and (points[:, 0] < face["box_x"] + face["box_w"]).all()


def test_extract_video_of_a_truncated_clip_is_partial(config: Config, mtcnn: Mtcnn) -> None:
    """The index is at the start and the last frames are missing: the others are extracted, with reason PARTIAL."""
    content, _ = encode_bytes(numbered(60), audio=False, faststart=True)
    rows = extract_video(content[: len(content) * 2 // 3], "t/a", "x", sampled(config, "every:5"), mtcnn)
    assert rows.ledger["outcome"] == "DONE" and rows.ledger["reason"] == "PARTIAL"
    assert rows.ledger["detail"] == (
        f"{len(rows.frames)} of {rows.ledger['frames_wanted']} frames decoded; the file ends before its last frame"
    )
    assert 3 <= len(rows.frames) == rows.ledger["frames"] <= 9


def test_extract_video_without_any_decodable_frame_raises(config: Config, mtcnn: Mtcnn) -> None:
    content, _ = encode_bytes(numbered(10), audio=False)
    broken = bytearray(content)
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    broken[start:end] = bytes(end - start)
    with pytest.raises(VideoError) as caught:
        extract_video(bytes(broken), "t/a", "x", sampled(config, "even:3"), mtcnn)
    assert caught.value.reason == "DECODE_ERROR"
