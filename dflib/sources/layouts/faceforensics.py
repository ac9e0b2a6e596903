"""FaceForensics++ (Rössler et al. 2019), and Google's DeepFakeDetection clips in the same folders.

``original_sequences/<source>/<compression>/videos/<clip>`` and
``manipulated_sequences/<method>/<compression>/videos/<target>_<source>``.  DeepFakeDetection names its originals
``actors/<compression>/videos/<actor>__<scene>``, and its fakes ``<target actor>_<source actor>__<scene>__<code>``.
"""

import re

from dflib.sources.layouts import Clip, Layout, SideFiles
from dflib.sources.names import stem

_PATH = re.compile(
    r"(?:^|/)(?P<kind>original|manipulated)_sequences/(?P<method>[^/]+)/(?P<compression>[^/]+)/videos/(?P<stem>[^/]+)$"
)
_TARGET = re.compile(r"(\d{3})_\d{3}")
_DFD_TARGET = re.compile(r"(\d{2})_\d{2}__(.+)__[A-Za-z0-9]+")
_MASKS = re.compile(r"(?:^|/)manipulated_sequences/[^/]+/masks/")


def describe(path: str, side_files: SideFiles) -> Clip | None:
    """The description of a video by its path.

    The original of a manipulated clip is its target at the same compression.  The group leaves out the compression,
    so that all compressions of a clip go into the same split.
    """
    found = _PATH.search(path)
    if not found:
        return None
    method, compression, clip = found["method"], found["compression"], stem(found["stem"])
    name = f"{method}/{compression}/{clip}"
    if found["kind"] == "original":
        return Clip(name, "REAL", group=f"{method}/{clip}", compression=compression)
    source, target = _target(clip)
    return Clip(
        name,
        "FAKE",
        original=f"{source}/{compression}/{target}" if target else None,
        group=f"{source}/{target}" if target else f"{method}/{clip}",
        manipulation=method,
        compression=compression,
    )


def _target(clip: str) -> tuple[str, str | None]:
    """Source and name of the original of a manipulated clip; no name where the clip's does not tell."""
    if found := _TARGET.fullmatch(clip):
        return "youtube", found[1]
    if found := _DFD_TARGET.fullmatch(clip):
        return "actors", f"{found[1]}__{found[2]}"
    return "", None


def not_a_clip(path: str) -> str | None:
    """Masks, which are videos of the changed regions."""
    return "with masks of manipulated regions" if _MASKS.search(path) else None


PART = Layout(describe, not_a_clip=not_a_clip)
