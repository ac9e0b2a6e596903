"""What is true of a demo data set: every video, every face, every defect that was planted."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Settings:
    """What decides the content of a data set; equal settings give equal files.

    Attributes
    ----------
    identities : int
        Seeming people, at least 2.
    clips_per_identity : int
        Videos of each, at least 2: one third originals (rounded down, at least one), the others fakes of these.
    chunks : int
        Zip archives, at least 1; all videos of an identity are in one.
    seconds : float
        Length of a clip.
    size : int
        Shorter side of most clips, in pixels.
    seed : int
        Draws everything.
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
        Whose head it is.
    role : str
        ``person``, or ``portrait`` for the picture on the wall, which never moves.
    donor : str or None
        Whose face was put on this head; None where it was left alone.
    boxes : list of Box
        x, y, width, height in displayed pixels, one a picture.  A later face of the list may hide an earlier one.
    """

    identity: str
    role: str
    donor: str | None
    boxes: list[Box]


@dataclass(frozen=True)
class Video:
    """One video of one chunk, or a metadata entry that has no file.

    Attributes
    ----------
    video_id : str
        ``dfdc/<stem>``.
    chunk : str
        File name of the archive.
    member : str
        Path inside the archive; it is not there for the kind ``missing_file``.
    kind : str
        ``normal``, the kind of the scene, or the defect.
    label : str or None
        As metadata.json has it; None where it has no entry.
    fake : bool
        As it is in truth.
    original : str or None
        The ``video_id`` of the original, as metadata.json has it.
    identity : str
        The group that the video belongs to: all videos of a seeming person.
    readable : bool
        Whether the file is there and can be decoded.
    compressed : bool
        Whether the member is deflated rather than stored.
    fps : str
        A fraction such as ``24000/1001``.
    width, height : int
        As displayed, in pixels.
    frames : int
        Pictures in the file; of an unreadable one, the pictures there were before it was spoilt.
    rotation : int
        Degrees clockwise by which a reader must turn the stored pictures.
    faces : list of Face
        The hindmost first.
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
    """A planted defect, with the code under which it has to be reported."""

    code: str
    video_id: str
    chunk: str


@dataclass(frozen=True)
class Truth:
    """The truth of a whole data set.

    Attributes
    ----------
    settings : Settings
        What it was made from.
    settings_hash : str
        Tells whether a data set at hand is the one that is asked for.
    chunks : dict of str to int
        Size in bytes of each archive, by file name.
    defects : list of Defect
        What was planted.
    videos : list of Video
        In the order of chunk and name.
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
        """The folder that holds the archives: what ingest is given."""
        return self.root / "chunks"

    def of_kind(self, *kinds: str) -> list[Video]:
        """Return the videos of some kinds."""
        return [video for video in self.videos if video.kind in kinds]

    def codes(self) -> dict[str, list[str]]:
        """Return the video_ids of the planted defects, by code."""
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
