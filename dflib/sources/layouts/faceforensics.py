"""FaceForensics++ (Rössler et al. 2019), and Google's DeepFakeDetection clips in the same folders.

``original_sequences/<source>/<compression>/videos/<clip>`` and
``manipulated_sequences/<method>/<compression>/videos/<target>_<source>``.
"""

import re

from dflib.sources.layouts import Clip, Layout, SideFiles
from dflib.sources.names import stem

_PATH = re.compile(
    r"(?:^|/)(?P<kind>original|manipulated)_sequences/(?P<method>[^/]+)/(?P<compression>[^/]+)/videos/(?P<stem>[^/]+)$"
)


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
    target = re.fullmatch(r"(\d{3})_\d{3}", clip)
    if not target:
        # DeepFakeDetection clips name their original differently (01_02__talking__ABC): it stays unknown.
        return Clip(name, "FAKE", group=f"{method}/{clip}", manipulation=method, compression=compression)
    return Clip(
        name,
        "FAKE",
        original=f"youtube/{compression}/{target[1]}",
        group=f"youtube/{target[1]}",
        manipulation=method,
        compression=compression,
    )


PART = Layout(describe)
