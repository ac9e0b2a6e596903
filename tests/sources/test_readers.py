"""Zips and folders become rows of ``videos``."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dflib.errors import SourceError
from dflib.sources import discovery
from dflib.sources.chunk import Chunk, Source, code
from dflib.sources.readers import read_folder, read_zip
from dflib.storage import Storage
from tests.sources.settings import sources

REAL, FAKE = {"label": "REAL", "split": "train"}, {"label": "FAKE", "split": "train", "original": "real.mp4"}


def codes(chunk: Chunk) -> dict[str, list[str]]:
    return {video.video_id: [code(problem) for problem in video.problems] for video in chunk.videos}


def labels(chunk: Chunk) -> dict[str, str | None]:
    return {video.video_id: video.label for video in chunk.videos}


def folder(storage: Storage, path: Path, csv: Path | None = None) -> Chunk:
    settings = sources(chunks=path, labels=csv)
    (source,) = discovery.find_chunks(storage, settings)
    return read_folder(storage, source, settings)


def test_read_zip_returns_rows_with_ranges_and_labels(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    metadata = {"real.mp4": REAL, "fake.mp4": FAKE}
    chunk = read_bytes_as_zip(zip_bytes({"real.mp4": b"r" * 9, "fake.mp4": b"f" * 7}, metadata))
    assert chunk.problems == [] and chunk.members == 3
    fake, real = chunk.videos
    assert (fake.video_id, fake.label, fake.original, fake.source_group) == ("d/fake", "FAKE", "d/real", "d/real")
    assert (real.video_id, real.label, real.original, real.source_group) == ("d/real", "REAL", None, "d/real")
    assert (real.chunk, real.member, real.size, real.packing) == ("chunk", "part/real.mp4", 9, "stored")
    assert real.given_split == "train" and real.fingerprint == f"{real.crc32:08x}-9" and real.problems == ()


def test_read_zip_reports_missing_and_unknown_labels(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    metadata = {"a.mp4": {"label": "PERHAPS"}, "gone.mp4": REAL, "empty.mp4": REAL, "../x.mp4": REAL}
    chunk = read_bytes_as_zip(zip_bytes({"a.mp4": b"a", "unnamed.mp4": b"b", "empty.mp4": b""}, metadata))
    assert codes(chunk) == {
        "d/a": ["UNKNOWN_LABEL"],
        "d/empty": ["EMPTY_FILE"],
        "d/unnamed": ["NO_METADATA_ENTRY"],
        "d/gone": ["MISSING_FILE"],
    }
    assert labels(chunk) == {"d/a": None, "d/empty": "REAL", "d/unnamed": None, "d/gone": "REAL"}
    missing = chunk.videos[-1]
    assert (missing.uri, missing.member, missing.size, missing.fingerprint) == (None, None, None, None)
    assert [code(problem) for problem in chunk.problems] == ["UNSAFE_NAME"]


def test_read_zip_without_metadata_has_no_labels(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    chunk = read_bytes_as_zip(zip_bytes({"a.mp4": b"a", "sub/b.mp4": b"b"}))
    assert codes(chunk) == {"d/a": [], "d/sub/b": []} and set(labels(chunk).values()) == {None}


def test_read_zip_finds_nested_metadata_and_ignores_macosx_copies(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    files = {"x/y/a.mp4": b"a", "x/y/metadata.json": json.dumps({"a.mp4": REAL}).encode(), "z.mp4": b"z"}
    twins = {"__MACOSX/x/y/._a.mp4": b"-", "__MACOSX/x/y/metadata.json": b"-"}
    chunk = read_bytes_as_zip(zip_bytes(files | twins, folder=""))
    assert labels(chunk) == {"d/a": "REAL", "d/z": None} and chunk.problems == []


def test_read_zip_with_two_metadata_files(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    files = {
        "p0/a.mp4": b"a",
        "p0/metadata.json": json.dumps({"a.mp4": REAL}).encode(),
        "p1/a.mp4": b"a",
        "p1/b.mp4": b"b",
        "p1/metadata.json": json.dumps({"a.mp4": FAKE, "b.mp4": FAKE}).encode(),
    }
    chunk = read_bytes_as_zip(zip_bytes(files, folder="all/"))
    assert labels(chunk) == {"d/a": "REAL", "d/b": "FAKE"}
    (problem,) = chunk.account.problems()
    assert problem == "DUPLICATE: 1 file with the id and the bytes of another one, first 'all/p1/a.mp4'"
    with pytest.raises(
        SourceError, match=r"nothing was ingested .* all/p1/a\.mp4 and all/p0/a\.mp4 both have the id d/a"
    ):
        read_bytes_as_zip(zip_bytes(files | {"p1/a.mp4": b"b"}, folder="all/"))


@pytest.mark.parametrize("metadata", [b"", b"[]", b"{" * 99_999, b'{"a.mp4": 1, "a.mp4": 1}'])
def test_read_zip_keeps_videos_when_metadata_is_broken(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk], metadata: bytes
) -> None:
    chunk = read_bytes_as_zip(zip_bytes({"a.mp4": b"a"}, metadata))
    assert labels(chunk) == {"d/a": None}
    assert [code(problem) for problem in chunk.problems] == ["BAD_METADATA"]


def test_read_zip_does_not_inflate_a_metadata_bomb(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    bomb = zip_bytes({"a.mp4": b"a"}, b" " * (65 << 20), packing=zipfile.ZIP_DEFLATED)
    chunk = read_bytes_as_zip(bomb)
    (problem,) = chunk.problems
    assert problem.startswith("BAD_METADATA: TOO_LARGE") and labels(chunk) == {"d/a": None}


def test_read_zip_leaves_out_unsafe_names(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    names = ["../../etc/a.mp4", "/abs.mp4", "x/../../b.mp4", "back\\slash.mp4", "ok.mp4"]
    content = zip_bytes(dict.fromkeys([*names, "nul#.mp4"], b"x"), folder="").replace(b"nul#", b"nul\0")
    chunk = read_bytes_as_zip(content)
    assert list(labels(chunk)) == ["d/ok"]
    assert chunk.account.left_out == {"UNSAFE_NAME": 5}
    assert "UNSAFE_NAME: 2 files whose name contains an empty part, . or .., first '../../etc/a.mp4'" in (
        chunk.listed_problems()
    )


def test_read_zip_keeps_row_of_unreadable_member(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    chunk = read_bytes_as_zip(zip_bytes({"a.mp4": b"a" * 99}, {"a.mp4": REAL}, packing=zipfile.ZIP_BZIP2))
    (video,) = chunk.videos
    assert video.uri is None and video.member == "part/a.mp4" and codes(chunk) == {"d/a": ["UNSUPPORTED_PACKING"]}
    # The metadata member is packed in the same way.
    assert [code(problem) for problem in chunk.problems] == ["BAD_METADATA"]


def test_read_zip_without_videos_or_without_zip(
    zip_bytes: Callable[..., bytes], read_bytes_as_zip: Callable[[bytes], Chunk]
) -> None:
    assert read_bytes_as_zip(zip_bytes({"a.txt": b"a"})).problems == ["NO_VIDEOS: contains no video"]
    chunk = read_bytes_as_zip(b"PK nothing")
    assert chunk.videos == [] and [code(problem) for problem in chunk.problems] == ["NOT_A_ZIP"]


@pytest.mark.shared
@pytest.mark.parametrize("part", ["sample", "part_3"])
def test_read_zip_with_the_challenges_metadata(
    sample_data: Path,
    zip_bytes: Callable[..., bytes],
    read_bytes_as_zip: Callable[[bytes], Chunk],
    part: str,
) -> None:
    (path,) = (sample_data / "dfdc" / "metadata").glob(f"*{part}*.json")
    reference = json.loads(path.read_text())
    present = sorted(reference)[::2]
    chunk = read_bytes_as_zip(zip_bytes({name: name.encode() for name in present}, path.read_bytes()))
    assert labels(chunk) == {f"d/{name[:-4]}": entry["label"] for name, entry in reference.items()}
    missing = {video_id for video_id, found in codes(chunk).items() if found == ["MISSING_FILE"]}
    assert missing == {f"d/{name[:-4]}" for name in set(reference) - set(present)}


@pytest.mark.shared
def test_read_folder_agrees_with_zip_of_the_folder(sample_data: Path, storage: Storage, tmp_path: Path) -> None:
    part = sample_data / "dfdc" / "dfdc_train_part_0"
    with zipfile.ZipFile(tmp_path / "dfdc_train_part_00.zip", "w") as made:
        for path in part.iterdir():
            made.write(path, f"dfdc_train_part_0/{path.name}")
    uri = f"file://{tmp_path}/dfdc_train_part_00.zip"
    before = storage.counters.requests, storage.counters.bytes_read
    zipped = read_zip(storage, Source("zip", uri, (storage.stat(uri),)), sources())
    assert storage.counters.requests - before[0] <= 6
    assert storage.counters.bytes_read - before[1] < 0.01 * zipped.source.size
    plain = folder(storage, part)
    assert labels(zipped) == labels(plain) and len(labels(plain)) == 5
    assert [video.original for video in zipped.videos] == [video.original for video in plain.videos]
    assert [video.size for video in zipped.videos] == [video.size for video in plain.videos]
    assert {video.packing for video in plain.videos} == {"file"}


def test_read_folder_with_own_labels_csv(storage: Storage, tmp_path: Path) -> None:
    for name in ("x/a.mp4", "x/b.avi", "c.mov", "y/same.mp4", "z/same.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"video")
    (tmp_path / "labels.csv").write_text(
        "video,label,original\nx/a.mp4,fake,c.mov\nb,REAL,\nc,REAL,\nsame,REAL,\nnowhere.mp4,FAKE,\n"
    )
    chunk = folder(storage, tmp_path)
    assert labels(chunk) == {
        "d/c": "REAL",
        "d/x/a": "FAKE",
        "d/x/b": "REAL",
        "d/y/same": None,
        "d/z/same": None,
        "d/nowhere": "FAKE",
        "d/same": "REAL",
    }
    assert {video_id: found for video_id, found in codes(chunk).items() if found} == {
        "d/y/same": ["NO_METADATA_ENTRY"],
        "d/z/same": ["NO_METADATA_ENTRY"],
        "d/nowhere": ["MISSING_FILE"],
        "d/same": ["AMBIGUOUS_NAME"],
    }
    assert next(video for video in chunk.videos if video.video_id == "d/x/a").original == "d/c"


def test_read_folder_with_labels_csv_from_elsewhere(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a.mp4").write_bytes(b"video")
    csv = tmp_path / "all.csv"
    csv.write_text("video,label\na,REAL\nb,FAKE\n")
    chunk = folder(storage, tmp_path / "v", csv)
    assert labels(chunk) == {"d/a": "REAL"}
    assert chunk.problems == ["UNUSED_LABELS: 1 lines of the labels file match no video here; the first is b"]
    csv.write_text("video,label\na\n")
    with pytest.raises(SourceError, match=r"all\.csv: line 2"):
        folder(storage, tmp_path / "v", csv)


def test_read_folder_without_labels(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    chunk = folder(storage, tmp_path)
    assert labels(chunk) == {"d/a": None} and codes(chunk) == {"d/a": []} and chunk.problems == []


@pytest.mark.shared
@pytest.mark.parametrize("below", ["", "manipulated_sequences"])
def test_read_folder_of_faceforensics(sample_data: Path, storage: Storage, below: str) -> None:
    chunk = folder(storage, sample_data / "ffpp" / below)
    fake = next(video for video in chunk.videos if video.label == "FAKE")
    assert fake.video_id == "d/Deepfakes/c23/519_515" and fake.original == "d/youtube/c23/519"
    assert (fake.manipulation, fake.compression, fake.source_group) == ("Deepfakes", "c23", "d/youtube/519")
    if not below:
        assert sorted(labels(chunk).items()) == [
            ("d/Deepfakes/c23/519_515", "FAKE"),
            ("d/youtube/c23/009", "REAL"),
            ("d/youtube/c23/100", "REAL"),
            ("d/youtube/c23/519", "REAL"),
        ]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_shared_csv_takes_no_label_from_videos_that_it_does_not_list(
    storage: Storage, tmp_path: Path, zip_bytes: Callable[..., bytes], zipped: bool
) -> None:
    videos = {"REAL/a.mp4": b"a", "FAKE/b.mp4": b"b", "c.mp4": b"c"}
    place = tmp_path / "part.zip" if zipped else tmp_path / "part"
    if zipped:
        place.write_bytes(zip_bytes(videos))
    for name, content in {} if zipped else videos.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    (tmp_path / "all.csv").write_text("video,label\nb,REAL\n")
    settings = sources(chunks=place, labels=tmp_path / "all.csv")
    (source,) = discovery.find_chunks(storage, settings)
    chunk = (read_zip if zipped else read_folder)(storage, source, settings)
    assert labels(chunk) == {"d/REAL/a": "REAL", "d/FAKE/b": "REAL", "d/c": None}
    assert codes(chunk) == {"d/REAL/a": [], "d/FAKE/b": [], "d/c": ["NO_METADATA_ENTRY"]}


def test_an_original_in_the_csv_of_a_folder_within_is_that_videos_id(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "set1").mkdir()
    for name in ("r1", "f1"):
        (tmp_path / "set1" / f"{name}.mp4").write_bytes(name.encode())
    (tmp_path / "set1" / "labels.csv").write_text("video,label,original\nr1,REAL,\nf1,FAKE,r1\n")
    fake, real = folder(storage, tmp_path).videos
    assert fake.original == real.video_id == "d/set1/r1" and fake.source_group == real.source_group


def test_of_two_metadata_members_the_last_one_counts(
    read_bytes_as_zip: Callable[[bytes], Chunk], tmp_path: Path
) -> None:
    path = tmp_path / "appended.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.mp4", b"a")
        archive.writestr("metadata.json", json.dumps({"a.mp4": FAKE}))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("metadata.json", json.dumps({"a.mp4": REAL}))
    with zipfile.ZipFile(path) as archive:
        expected = json.loads(archive.read("metadata.json"))["a.mp4"]["label"]
    chunk = read_bytes_as_zip(path.read_bytes())
    assert labels(chunk) == {"d/a": expected}
    assert chunk.account.problems() == [
        "DUPLICATE: 1 file replaced by a later one of the same name, first 'metadata.json'"
    ]


def test_a_folders_name_with_bytes_is_counted(read_bytes_as_zip: Callable[[bytes], Chunk]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.mp4", b"a")
        archive.writestr("folder/", b"")
        archive.writestr("evidence.mp4/", b"bytes")
    chunk = read_bytes_as_zip(buffer.getvalue())
    assert (chunk.members, chunk.account.reasons) == (2, {"evidence.mp4/": "UNSAFE_NAME"})


def test_copies_in_a_folder_are_told_and_different_videos_of_one_id_are_refused(
    storage: Storage, tmp_path: Path
) -> None:
    for name, content in (("1.mov", b"same"), ("1.mp4", b"same"), ("2.mp4", b"more")):
        (tmp_path / name).write_bytes(content)
    chunk = folder(storage, tmp_path)
    assert [video.member for video in chunk.videos] == ["1.mov", "2.mp4"]
    assert chunk.account.reasons == {"1.mp4": "DUPLICATE"}
    (tmp_path / "1.mp4").write_bytes(b"else")
    with pytest.raises(SourceError, match=r"nothing was ingested of it: 1\.mp4 and 1\.mov .* differ; rename"):
        folder(storage, tmp_path)


def test_limits_of_labels_files_are_those_of_the_chunk(
    storage: Storage, tmp_path: Path, zip_bytes: Callable[..., bytes]
) -> None:
    files = {f"p{part}/{name}": b"x" for part in range(3) for name in (f"a{part}.mp4", f"b{part}.mp4")}
    text = {f"p{part}/metadata.json": json.dumps({f"a{part}.mp4": REAL}).encode() for part in range(3)}
    (tmp_path / "a.zip").write_bytes(zip_bytes(files | text))
    size = len(text["p0/metadata.json"])
    for changes, limit in (
        ({"max_metadata_entries": 2}, "max_metadata_entries=2"),
        ({"max_metadata_bytes": 2 * size}, f"max_metadata_bytes={2 * size}"),
    ):
        settings = sources(chunks=tmp_path / "a.zip", **changes)
        (source,) = discovery.find_chunks(storage, settings)
        chunk = read_zip(storage, source, settings)
        assert [video.label for video in chunk.videos].count("REAL") == 2
        (problem,) = chunk.problems
        assert problem.startswith("BAD_METADATA: ") and "p2/metadata.json: " in problem
        assert problem.endswith(f"the limit for all is sources.{limit}")
