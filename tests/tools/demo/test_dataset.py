"""A small demo data set: its archives agree with its ground truth."""

import io
import json
import zipfile
from dataclasses import replace

import av
import numpy as np
import pytest

from dflib.errors import ConfigError
from tools.demo.__main__ import main
from tools.demo.dataset import make, settings_hash
from tools.demo.identities import FACE_BOX, identity, swapped
from tools.demo.scenario import Scenario
from tools.demo.scenes import draw_scene
from tools.demo.truth import Settings, Truth

SMALL = {"identities": 3, "clips_per_identity": 2, "chunks": 3, "seconds": 0.4, "size": 180, "seed": 3}


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> Truth:
    return make(tmp_path_factory.mktemp("demo"), **SMALL)


@pytest.fixture(scope="module")
def archives(truth):
    return {name: zipfile.ZipFile(truth.chunk_folder / name) for name in truth.chunks}


def metadata(archive):
    name = next(name for name in archive.namelist() if name.endswith("/metadata.json"))
    return json.loads(archive.read(name))


def images(truth, archives, video):
    with av.open(io.BytesIO(archives[video.chunk].read(video.member))) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def test_make_is_deterministic(truth, tmp_path):
    again = make(tmp_path, **SMALL, workers=1)
    for name in truth.chunks:
        assert (again.chunk_folder / name).read_bytes() == (truth.chunk_folder / name).read_bytes()
    assert again.to_json() == truth.to_json()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["chunks", "truth.json"]


def test_scenario_by_default_is_mostly_fake_and_keeps_originals_with_fakes():
    clips = Scenario(Settings()).clips
    assert 0.6 < sum(clip.label == "FAKE" for clip in clips) / len(clips) < 0.7
    places = {clip.stem: clip.chunk for clip in clips}
    for clip in clips:
        if clip.original is not None and clip.kind != "original_nowhere":
            assert places[clip.original] == clip.chunk
    assert {str(clip.scene.fps) for clip in clips} == {"15", "24000/1001", "25", "30", "30000/1001"}
    assert {clip.scene.width > clip.scene.height for clip in clips} == {True, False}


def test_scenario_depends_on_seed():
    one, other = Scenario(Settings(seed=1)), Scenario(Settings(seed=2))
    assert not {clip.stem for clip in one.clips} & {clip.stem for clip in other.clips}
    assert np.abs(identity(1, 0).figure - identity(2, 0).figure).mean() > 5


def test_make_twice_does_nothing_and_rejects_other_settings(truth):
    before = {path: path.stat().st_mtime_ns for path in truth.root.rglob("*")}
    assert make(truth.root, **SMALL) == truth
    with pytest.raises(ConfigError, match="seed 3 instead of 4"):
        make(truth.root, **{**SMALL, "seed": 4})
    assert {path: path.stat().st_mtime_ns for path in truth.root.rglob("*")} == before


def test_make_overwrites_on_request_and_detects_damage(tmp_path):
    tiny = {"identities": 2, "clips_per_identity": 2, "chunks": 1, "seconds": 0.2, "size": 120, "specials": False}
    first = make(tmp_path, **tiny, seed=1)
    second = make(tmp_path, **tiny, seed=2, overwrite=True)
    assert first.settings_hash != second.settings_hash
    assert Truth.read(tmp_path) == second
    assert len(second.videos) == 4 and not second.defects
    (second.chunk_folder / "dfdc_train_part_00.zip").write_bytes(b"")
    with pytest.raises(ConfigError, match="missing or was changed"):
        make(tmp_path, **tiny, seed=2)


def test_make_keeps_foreign_files(tmp_path):
    (tmp_path / "chunks").mkdir()
    (tmp_path / "chunks" / "dfdc_train_part_00.zip").write_bytes(b"foreign")
    with pytest.raises(ConfigError, match="not a complete demo data set"):
        make(tmp_path, **SMALL, overwrite=True)
    assert (tmp_path / "chunks" / "dfdc_train_part_00.zip").read_bytes() == b"foreign"


def test_archives_have_the_form_of_the_challenge(truth, archives):
    assert sorted(archives) == [f"dfdc_train_part_{number:02d}.zip" for number in range(3)]
    for number, archive in enumerate(archives.values()):
        assert {name.split("/")[0] for name in archive.namelist()} == {f"dfdc_train_part_{number}"}
        assert archive.testzip() is None
    methods = [
        {item.compress_type for item in archive.infolist() if item.filename.endswith("mp4")}
        for archive in archives.values()
    ]
    assert methods == [{zipfile.ZIP_STORED}, {zipfile.ZIP_DEFLATED}, {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}]
    assert [bool(archive.comment) for archive in archives.values()] == [False, True, False]
    for video in truth.videos:
        if video.kind != "missing_file":
            method = archives[video.chunk].getinfo(video.member).compress_type
            assert (method == zipfile.ZIP_DEFLATED) == video.compressed


def test_metadata_agrees_with_truth(truth, archives):
    for chunk, archive in archives.items():
        listed = {f"dfdc/{name[:-4]}": entry for name, entry in metadata(archive).items()}
        known = {video.video_id: video for video in truth.videos if video.chunk == chunk and video.label is not None}
        assert listed.keys() == known.keys()
        for video_id, entry in listed.items():
            video = known[video_id]
            assert (entry["label"], entry["split"]) == (video.label, "train")
            assert entry.get("original") == (video.original and f"{video.original[5:]}.mp4")


def test_readable_videos_agree_with_truth(truth, archives):
    for video in truth.videos:
        if not video.readable:
            continue
        with av.open(io.BytesIO(archives[video.chunk].read(video.member))) as file:
            assert str(file.streams.video[0].average_rate) == video.fps
            assert file.streams.audio
            frames = list(file.decode(video=0))
        assert len(frames) == video.frames
        assert all(len(face.boxes) == video.frames for face in video.faces)
        size = (frames[0].width, frames[0].height)
        assert (size if frames[0].rotation % 180 == 0 else size[::-1]) == (video.width, video.height)
        assert -frames[0].rotation % 360 == video.rotation
    assert {video.rotation for video in truth.of_kind("rotated")} == {90}


def test_defects_are_planted(truth, archives):
    codes = truth.codes()
    assert {code: len(ids) for code, ids in codes.items()} == {
        "UNREADABLE": 1,
        "EMPTY_FILE": 1,
        "MISSING_FILE": 1,
        "NO_METADATA_ENTRY": 1,
        "UNKNOWN_LABEL": 1,
        "ORIGINAL_NOWHERE": 1,
        "LABEL_CONFLICT": 2,
    }
    members = {
        name.split("/")[1]: (archive, name)
        for archive in archives.values()
        for name in archive.namelist()
        if name.endswith("mp4")
    }
    entries = {name: entry for archive in archives.values() for name, entry in metadata(archive).items()}
    file = {code: f"{ids[0][5:]}.mp4" for code, ids in codes.items()}
    assert file["MISSING_FILE"] in entries and file["MISSING_FILE"] not in members
    assert file["NO_METADATA_ENTRY"] in members and file["NO_METADATA_ENTRY"] not in entries
    archive, name = members[file["EMPTY_FILE"]]
    assert archive.getinfo(name).file_size == 0
    archive, name = members[file["UNREADABLE"]]
    with pytest.raises(av.error.InvalidDataError), av.open(io.BytesIO(archive.read(name))):
        pass
    assert entries[file["UNKNOWN_LABEL"]]["label"] == "MAYBE"
    nowhere = [name for name, entry in entries.items() if "original" in entry and entry["original"] not in members]
    assert nowhere == [file["ORIGINAL_NOWHERE"]]
    one, two = truth.of_kind("label_conflict")
    assert {one.label, two.label} == {"FAKE", "REAL"} and one.video_id == two.video_id and one.chunk != two.chunk
    assert archives[one.chunk].read(one.member) == archives[two.chunk].read(two.member)


def test_fake_differs_from_original_in_the_face_only(truth, archives):
    fake = next(video for video in truth.of_kind("normal") if video.fake)
    original = next(video for video in truth.videos if video.video_id == fake.original)
    number = fake.frames // 2
    change = np.abs(
        images(truth, archives, fake)[number].astype(float) - images(truth, archives, original)[number]
    ).mean(2)
    x, y, w, h = (int(value) for value in fake.faces[0].boxes[number])
    inside = change[y : y + h, x : x + w].mean()
    change[y : y + h, x : x + w] = 0
    assert inside > 3 * change.sum() / (change.size - w * h)


def test_swapped_changes_the_face_box_only():
    target, donor = identity(5, 0), identity(5, 1)
    fake = swapped(target, donor, np.random.default_rng(0))
    change = np.abs(fake.figure - target.figure).max(2)
    x, y, w, h = (int(value) for value in FACE_BOX)
    rim = change[y : y + h, x : x + w].copy()
    rim[4:-4, 4:-4] = 0
    assert change[y : y + h, x : x + w].mean() > 5
    assert rim.max() < 3
    change[y : y + h, x : x + w] = 0
    assert change.max() == 0


@pytest.mark.parametrize("kind", ["normal", "two_people", "portrait_on_wall"])
def test_draw_scene_moves_people_inside_the_image(kind):
    for seed in range(5):
        scene = draw_scene(kind, (seed,), seconds=1.5, short_side=360)
        for boxes in scene.boxes():
            assert abs(boxes[-1][0] - boxes[0][0]) > 0.2 * boxes[0][2]
            assert all(x > 0 and x + w < scene.width and y > 0 and y + h < scene.height for x, y, w, h in boxes)
        assert (scene.portrait is not None) == (kind == "portrait_on_wall")


def test_portrait_has_one_box_in_truth(truth):
    for video in truth.of_kind("portrait_on_wall"):
        assert [face.role for face in video.faces] == ["portrait", "person"]
        assert len(set(video.faces[0].boxes)) == 1
        assert (video.faces[1].donor is not None) == video.fake


def test_dark_and_faceless_scenes(truth, archives):
    for video in truth.of_kind("dark"):
        assert images(truth, archives, video)[0].mean() < 30
    assert [video.faces for video in truth.of_kind("no_face")] == [[]]


def test_settings_hash_depends_on_every_setting():
    default = Settings()
    others = [replace(default, **{name: value + 1}) for name, value in vars(default).items() if name != "specials"]
    others.append(replace(default, specials=False))
    assert len({settings_hash(settings) for settings in [default, *others]}) == len(others) + 1


def test_main_returns_exit_codes(truth, tmp_path, capsys):
    same = ["--identities", "3", "--clips", "2", "--chunks", "3", "--seconds", "0.4", "--size", "180", "--seed", "3"]
    assert main(["--out", str(truth.root), *same]) == 0
    assert "videos" in capsys.readouterr().out
    assert main(["--out", str(tmp_path), "--identities", "1"]) == 2
    assert "identities must be at least 2" in capsys.readouterr().err
