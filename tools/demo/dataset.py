"""Makes a miniature Deepfake Detection Challenge: chunk archives as the challenge's, and the truth beside them.

>>> from pathlib import Path
>>> truth = make(Path("demo-data"), identities=4, clips_per_identity=3, chunks=2)  # doctest: +SKIP
>>> truth.codes()["EMPTY_FILE"]  # doctest: +SKIP
['dfdc/...']
"""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from dflib.errors import ConfigError
from tools.demo.clips import encode_bytes, truncated
from tools.demo.identities import identity, swapped
from tools.demo.scenario import Clip, Plan, chunk_member, chunk_name
from tools.demo.truth import Face, Settings, Truth, Video

VERSION = 1  # to be raised whenever equal settings begin to give other files

_EPOCH = (2019, 12, 11, 0, 0, 0)  # of every member, so that equal settings give equal archives
_COMMENTED = 1  # the chunk with an archive comment, which a reader of central directories must step over


def make(
    root: Path,
    *,
    identities: int = 32,
    clips_per_identity: int = 6,
    chunks: int = 8,
    seconds: float = 1.5,
    size: int = 360,
    seed: int = 7,
    specials: bool = True,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Truth:
    """Make a data set, or find the finished one of the same settings.

    The archives are ``root/chunks/dfdc_train_part_00.zip`` and so on, the truth is ``root/truth.json``.
    Everything is made in a folder aside and moved at the end, so a data set is there whole or not at all.

    Parameters
    ----------
    root : Path
        Folder of the data set; made if need be, and may hold other things.
    identities, clips_per_identity, chunks, seconds, size, seed, specials
        See `tools.demo.truth.Settings`.
    workers : int, optional
        Threads; as many as there are processors by default.  They do not change the result.
    overwrite : bool
        Whether a demo data set of other settings in the same folder is replaced; else it is an error.
    progress : callable, optional
        Called with (videos done, videos in all) after each.

    Returns
    -------
    Truth
    """
    settings = Settings(identities, clips_per_identity, chunks, float(seconds), size, seed, specials)
    _check(settings)
    found = _found(root, settings)
    if found is not None and found.settings_hash == settings_hash(settings):
        return found
    if found is not None and not overwrite:
        raise ConfigError(
            f"{root}: holds a demo data set of other settings ({_difference(found.settings, settings)}); "
            "choose another folder, or ask for it to be overwritten"
        )
    if found is None and (root / "chunks").exists():
        raise ConfigError(f"{root / 'chunks'}: is there, but not as a whole demo data set; choose another folder")
    root.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".demo-", dir=root))
    try:
        truth = _write(aside, Plan(settings), workers or os.cpu_count() or 1, progress)
        if found is not None:
            (root / "truth.json").unlink()
            for name in found.chunks:  # only what was made here
                (root / "chunks" / name).unlink()
            (root / "chunks").rmdir()
        try:
            (aside / "chunks").rename(root / "chunks")
        except OSError:  # someone else was faster
            theirs = _found(root, settings)
            if theirs is None or theirs.settings_hash != truth.settings_hash:
                raise
            return theirs
        (aside / "truth.json").rename(root / "truth.json")
    finally:
        shutil.rmtree(aside)
    return Truth.read(root)


def settings_hash(settings: Settings) -> str:
    """Return the hash of the settings and of the version of this generator."""
    return hashlib.sha256(json.dumps([VERSION, asdict(settings)]).encode()).hexdigest()[:16]


def _check(settings: Settings) -> None:
    least = {"identities": 2, "clips_per_identity": 2, "chunks": 1, "seconds": 0.2, "size": 120, "seed": 0}
    for name, value in least.items():
        if getattr(settings, name) < value:
            raise ConfigError(f"demo data: {name} must be at least {value}, not {getattr(settings, name)}")
    if settings.chunks > settings.identities:
        raise ConfigError(f"demo data: {settings.chunks} chunks need as many identities, not {settings.identities}")


def _difference(found: Settings, asked: Settings) -> str:
    was, now = asdict(found), asdict(asked)
    differences = [f"{name} {was[name]} instead of {now[name]}" for name in was if was[name] != now[name]]
    return ", ".join(differences) or "made by another version of the generator"


def _found(root: Path, settings: Settings) -> Truth | None:
    """Return the truth of the data set in a folder; None if there is none; an error if it is not whole."""
    if not (root / "truth.json").exists():
        return None
    try:
        truth = Truth.read(root)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{root / 'truth.json'}: is not the truth of a demo data set; choose another folder"
        ) from error
    for name, size in truth.chunks.items():
        path = root / "chunks" / name
        if not path.exists() or path.stat().st_size != size:
            raise ConfigError(f"{path}: is missing or was changed; remove {root / 'truth.json'} and {path.parent}")
    return truth


def _write(root: Path, plan: Plan, workers: int, progress: Callable[[int, int], None] | None) -> Truth:
    """Write archives and truth of a plan into an empty folder."""
    folder = root / "chunks"
    folder.mkdir()
    seed = plan.settings.seed
    videos: list[Video] = []
    sizes: dict[str, int] = {}
    done = 0
    # Encoders, OpenCV and numpy let go of the interpreter lock, so threads do, and share the identities.
    ordered = sorted(plan.clips, key=lambda clip: (clip.chunk, clip.stem))
    with ThreadPoolExecutor(workers) as pool:
        contents = pool.map(lambda clip: _content(clip, seed), ordered)
        for number in range(plan.settings.chunks):
            clips = [clip for clip in ordered if clip.chunk == number]
            path = folder / chunk_name(number)
            with zipfile.ZipFile(path, "w") as archive:
                for clip, content in zip(clips, contents, strict=False):  # takes no content beyond its clips
                    deflated = number % 3 == 1 or (number % 3 == 2 and len(videos) % 2 == 1)
                    if content is not None:
                        _put(archive, chunk_member(number, f"{clip.stem}.mp4"), content, deflated)
                    videos.append(_video(clip, deflated))
                    done += 1
                    if progress is not None:
                        progress(done, len(plan.clips))
                _put(archive, chunk_member(number, "metadata.json"), json.dumps(_metadata(clips)).encode(), True)
                if number == _COMMENTED % plan.settings.chunks:
                    archive.comment = b"miniature of the Deepfake Detection Challenge"
            sizes[path.name] = path.stat().st_size
    truth = Truth(plan.settings, settings_hash(plan.settings), sizes, plan.defects, videos, root)
    (root / "truth.json").write_text(truth.to_json())
    return truth


def _put(archive: zipfile.ZipFile, name: str, content: bytes, deflated: bool) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    archive.writestr(info, content, compresslevel=1 if deflated else None)


def _metadata(clips: list[Clip]) -> dict[str, dict[str, str]]:
    """Return the content of a chunk's metadata.json."""
    entries: dict[str, dict[str, str]] = {}
    for clip in clips:
        if clip.label is not None:
            entries[f"{clip.stem}.mp4"] = {"label": clip.label, "split": "train"}
            if clip.original is not None:
                entries[f"{clip.stem}.mp4"]["original"] = f"{clip.original}.mp4"
    return entries


def _content(clip: Clip, seed: int) -> bytes | None:
    """Return the bytes of a clip's file; None if there is to be none."""
    if clip.kind == "missing_file":
        return None
    if clip.kind == "zero_bytes":
        return b""
    scene = clip.scene
    person = identity(seed, clip.identity)
    if clip.donor is not None:
        person = swapped(person, identity(seed, clip.donor), np.random.default_rng([seed, 4, clip.noise]))
    other = None if clip.other is None else identity(seed, clip.other)
    on_wall = other if scene.portrait is not None else None
    behind = (other,) if other is not None and scene.portrait is None else ()
    people = () if not scene.motions else (*behind, person)
    video, _ = encode_bytes(scene.pictures(people, on_wall, clip.noise), fps=scene.fps, rotation=scene.rotation)
    return truncated(video) if clip.kind == "truncated" else video


def _video(clip: Clip, deflated: bool) -> Video:
    """Return the truth of a clip."""
    scene = clip.scene
    faces = []
    name = "id_{:03d}".format
    for number, boxes in enumerate(scene.boxes()):
        front = number == len(scene.motions) - 1
        who = clip.identity if front or clip.other is None else clip.other
        donor = name(clip.donor) if front and clip.donor is not None else None
        faces.append(Face(name(who), "person", donor, [_rounded(box) for box in boxes]))
    if scene.portrait is not None and clip.other is not None:
        faces.insert(0, Face(name(clip.other), "portrait", None, [_rounded(scene.portrait)] * scene.frames))
    return Video(
        video_id=f"dfdc/{clip.stem}",
        chunk=chunk_name(clip.chunk),
        member=chunk_member(clip.chunk, f"{clip.stem}.mp4"),
        kind=clip.kind,
        label=clip.label,
        fake=clip.donor is not None,
        original=None if clip.original is None else f"dfdc/{clip.original}",
        identity=name(clip.identity),
        readable=clip.kind not in ("missing_file", "zero_bytes", "truncated"),
        compressed=deflated,
        fps=str(scene.fps),
        width=scene.width,
        height=scene.height,
        frames=scene.frames,
        rotation=scene.rotation,
        faces=faces,
    )


def _rounded(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, w, h = (round(float(value), 1) for value in box)
    return x, y, w, h
