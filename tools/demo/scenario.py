"""The scenario of a data set: its videos, their chunks, labels and defects.

Nothing is drawn or encoded here, so that a scenario can be examined before any work is done.
"""

import string
from dataclasses import dataclass, replace

import numpy as np

from tools.demo.scenes import Scene, draw_scene
from tools.demo.truth import Defect, Settings

# Each special scene gives an original and a fake; without a face, the original alone.
SPECIAL_SCENES = ("two_people", "portrait_on_wall", "dark", "rotated", "no_face")


@dataclass(frozen=True)
class Clip:
    """One video of the scenario.

    Attributes
    ----------
    stem : str
        Ten lower-case letters, as the challenge names its files.
    chunk : int
        Number of the archive.
    kind : str
        ``normal``, the kind of the scene, or the defect.
    label, original : str or None
        As in metadata.json, the original by its stem; no entry where the label is None.
    identity : int
        The person shown; in a scene of two people, the one in front.
    other : int or None
        The other person of the scene, or the person in the portrait.
    donor : int or None
        The person whose face is blended in; None for an original.
    scene : Scene
        Shared by an original and its fakes.
    noise : int
        Number of the recording, which seeds its noise and, for a fake, the swap.
    """

    stem: str
    chunk: int
    kind: str
    label: str | None
    original: str | None
    identity: int
    other: int | None
    donor: int | None
    scene: Scene
    noise: int


def chunk_name(number: int) -> str:
    """Return the file name of an archive, in the challenge's form."""
    return f"dfdc_train_part_{number:02d}.zip"


def chunk_member(number: int, name: str) -> str:
    """Return the path of a file in an archive; the folder's number has no leading zero."""
    return f"dfdc_train_part_{number}/{name}"


class Scenario:
    """All clips and defects of a data set.

    Attributes
    ----------
    settings : Settings
        The settings of the data set.
    clips : list of Clip
        All videos and entries; a stem occurs twice where two chunks contain the same video.
    defects : list of Defect
        The defects that must be reported.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clips: list[Clip] = []
        self.defects: list[Defect] = []
        self._random = np.random.default_rng([settings.seed, 0])
        self._stems: set[str] = set()
        self._originals = [self._identity(index) for index in range(settings.identities)]
        if settings.specials:
            for number, kind in enumerate(SPECIAL_SCENES):
                self._special_scene(number, kind)
            self._defects(len(SPECIAL_SCENES))

    def _identity(self, index: int) -> Clip:
        """Add the originals and fakes of one identity; return its first original."""
        settings = self.settings
        count = max(1, settings.clips_per_identity // 3)
        originals = []
        for take in range(count):
            scene = draw_scene(
                "normal", (settings.seed, 2, index, take), seconds=settings.seconds, short_side=settings.size
            )
            originals.append(self._add(index, scene, "normal"))
        for number in range(settings.clips_per_identity - count):
            self._fake(originals[number % count])
        return originals[0]

    def _special_scene(self, number: int, kind: str) -> None:
        index = number % self.settings.identities
        scene = draw_scene(
            kind, (self.settings.seed, 3, number), seconds=self.settings.seconds, short_side=self.settings.size
        )
        other = (index + 1) % self.settings.identities if kind in ("two_people", "portrait_on_wall") else None
        original = self._add(index, scene, kind, other=other)
        if kind != "no_face":
            self._fake(original, kind=kind)

    def _defects(self, first: int) -> None:
        """Add one of each defect, starting with the identity `first`."""
        settings = self.settings
        bases = [self._originals[(first + step) % settings.identities] for step in range(7)]
        self._note("UNREADABLE", self._fake(bases[0], kind="truncated"))
        self._note("EMPTY_FILE", self._add(bases[1].identity, bases[1].scene, "zero_bytes"))
        self._note("MISSING_FILE", self._fake(bases[2], kind="missing_file"))
        self._note("NO_METADATA_ENTRY", self._add(bases[3].identity, bases[3].scene, "no_metadata_entry", label=None))
        self._note("UNKNOWN_LABEL", self._add(bases[4].identity, bases[4].scene, "unknown_label", label="MAYBE"))
        self._note("ORIGINAL_NOWHERE", self._fake(bases[5], kind="original_nowhere", original=self._stem()))
        if settings.chunks > 1:
            fake = self._fake(bases[6], kind="label_conflict")
            copy = replace(fake, label="REAL", original=None, chunk=(fake.chunk + 1) % settings.chunks)
            self.clips.append(copy)
            self._note("LABEL_CONFLICT", fake)
            self._note("LABEL_CONFLICT", copy)

    def _note(self, code: str, clip: Clip) -> None:
        self.defects.append(Defect(code, f"dfdc/{clip.stem}", chunk_name(clip.chunk)))

    def _fake(self, base: Clip, *, kind: str = "normal", original: str | None = None) -> Clip:
        """Add a fake of an original: the same scene, with a face from the same chunk where possible."""
        donors = [i for i in range(self.settings.identities) if i not in (base.identity, base.other)]
        donors = donors or [i for i in range(self.settings.identities) if i != base.identity]
        chunks = self.settings.chunks
        near = [i for i in donors if i % chunks == base.chunk] or donors
        return self._add(
            base.identity,
            base.scene,
            kind,
            label="FAKE",
            original=original or base.stem,
            other=base.other,
            donor=int(self._random.choice(near)),
        )

    def _add(
        self,
        index: int,
        scene: Scene,
        kind: str,
        *,
        label: str | None = "REAL",
        original: str | None = None,
        other: int | None = None,
        donor: int | None = None,
    ) -> Clip:
        clip = Clip(
            stem=self._stem(),
            chunk=index % self.settings.chunks,
            kind=kind,
            label=label,
            original=original,
            identity=index,
            other=other,
            donor=donor,
            scene=scene,
            noise=len(self.clips),
        )
        self.clips.append(clip)
        return clip

    def _stem(self) -> str:
        while True:
            stem = "".join(self._random.choice(list(string.ascii_lowercase), 10))
            if stem not in self._stems:
                self._stems.add(stem)
                return stem
