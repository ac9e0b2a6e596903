"""The ground truth of a demo data set: every video, every face and every planted defect."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Settings:
    """The settings of a data set; equal settings give equal files.

    Attributes
    ----------
    identities : int
        Number of artificial people, at least 2.
    clips_per_identity : int
        Videos of each identity, at least 2: one third originals (rounded down, at least one), the others their fakes.
    chunks : int
        Number of zip archives, at least 1; all videos of an identity are in the same one.
    seconds : float
        Length of a clip in seconds.
    size : int
        Shorter side of most clips in pixels.
    seed : int
        Random seed of all content.
    specials : bool
        Whether the special clips and planted defects are added.
    """

    identities: int = 32
    clips_per_identity: int = 6
    chunks: int = 8
    seconds: float = 1.5
    size: int = 360
    seed: int = 7
    specials: bool = True


@dataclass(frozen=True)
class Face:
    """One face of a video.

    Attributes
    ----------
    identity : str
        The person whose head it is.
    role : str
        ``person``, or ``portrait`` for the portrait on the wall, which never moves.
    donor : str or None
        The person whose face was blended in; None for an unchanged face.
    boxes : list of Box
        x, y, width, height in displayed pixels, one for each frame.  A later face of the list may hide an earlier one.
    """

    identity: str
    role: str
    donor: str | None
    boxes: list[Box]


@dataclass(frozen=True)
class Video:
    """One video of one chunk, or a metadata entry without a file.

    Attributes
    ----------
    video_id : str
        ``dfdc/<stem>``.
    chunk : str
        File name of the archive.
    member : str
        Path in the archive; absent for the kind ``missing_file``.
    kind : str
        ``normal``, the kind of the scene, or the defect.
    label : str or None
        As in metadata.json; None where it has no entry.
    fake : bool
        The true class.
    original : str or None
        The ``video_id`` of the original, as in metadata.json.
    identity : str
        The person of the video, by whom videos are grouped.
    readable : bool
        Whether the file exists and can be decoded.
    compressed : bool
        Whether the member is deflated rather than stored.
    fps : str
        A fraction such as ``24000/1001``.
    width, height : int
        As displayed, in pixels.
    frames : int
        Number of frames; for an unreadable file, the number before it was truncated.
    rotation : int
        Degrees clockwise by which a reader must rotate the stored images.
    faces : list of Face
        The rearmost first.
    """

    video_id: str
    chunk: str
    member: str
    kind: str
    label: str | None
    fake: bool
    original: str | None
    identity: str
    readable: bool
    compressed: bool
    fps: str
    width: int
    height: int
    frames: int
    rotation: int
    faces: list[Face]


@dataclass(frozen=True)
class Defect:
    """A planted defect, with the code under which it must be reported."""

    code: str
    video_id: str
    chunk: str


@dataclass(frozen=True)
class Truth:
    """The ground truth of a data set.

    Attributes
    ----------
    settings : Settings
        The settings of the data set.
    settings_hash : str
        Hash of the settings and the version of the generator.
    chunks : dict of str to int
        Size in bytes of each archive, by file name.
    defects : list of Defect
        The planted defects.
    videos : list of Video
        All videos, in the order of chunk and name.
    root : Path
        Folder of the data set; not part of the file, so that the folder may move.
    """

    settings: Settings
    settings_hash: str
    chunks: dict[str, int]
    defects: list[Defect]
    videos: list[Video]
    root: Path

    @property
    def chunk_folder(self) -> Path:
        """The folder of the archives, for ``sources.chunks``."""
        return self.root / "chunks"

    def of_kind(self, *kinds: str) -> list[Video]:
        """Return the videos of the kinds."""
        return [video for video in self.videos if video.kind in kinds]

    def codes(self) -> dict[str, list[str]]:
        """Return the ``video_id`` of each planted defect, by code."""
        found: dict[str, list[str]] = {}
        for defect in self.defects:
            found.setdefault(defect.code, []).append(defect.video_id)
        return found

    def to_json(self) -> str:
        """Return the text of ``truth.json``."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["root"]
        return json.dumps(fields, default=dataclasses.asdict, separators=(",", ":"))

    @classmethod
    def read(cls, root: Path) -> "Truth":
        """Read ``root/truth.json``."""
        data: dict[str, Any] = json.loads((root / "truth.json").read_text())
        return cls(
            settings=Settings(**data["settings"]),
            settings_hash=data["settings_hash"],
            chunks=data["chunks"],
            defects=[Defect(**defect) for defect in data["defects"]],
            videos=[_video(video) for video in data["videos"]],
            root=root,
        )


def _video(data: dict[str, Any]) -> Video:
    faces = [Face(**{**face, "boxes": [tuple(box) for box in face["boxes"]]}) for face in data.pop("faces")]
    return Video(**data, faces=faces)
