"""Bundles: any single change is found."""

import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

from dflib.proof import bundle
from dflib.proof.bundle import BundleError
from dflib.proof.chain import Chain

VIDEO = b"the bytes of a video" * 50


def chain() -> Chain:
    images = {f"v/x/{number}": bytes([number]) * 400 for number in range(6)}
    faces = [
        {"face_id": face_id, "frame_index": number, "image_sha256": hashlib.sha256(image).hexdigest()}
        for number, (face_id, image) in enumerate(images.items())
    ]
    predictions = [{"face_id": face["face_id"], "model_id": "m", "p_fake": 0.1 + number / 10, "run_id": "r"}
                   for number, face in enumerate(faces)]  # fmt: skip
    data: dict[str, Any] = {
        "format": 1,
        "video": {"video_id": "v", "label": None},
        "extraction": {"sha256": hashlib.sha256(VIDEO).hexdigest(), "extractor": "x"},
        "settings": {"sampling": {"frames": "even:6"}, "faces": {"threshold": 0.9}},
        "faces": faces,
        "model": {"model_id": "m", "sha256": "ab"},
        "predictions": predictions,
        "verdicts": [{"verdict": "FAKE", "p_fake": 0.35}],
    }
    return Chain(data, images)


def found(content: bytes, video: bytes = VIDEO) -> bool:
    """Whether verify finds a change."""
    try:
        checks = bundle.verify(content, video)
    except BundleError:
        return True
    return any(check.outcome == "differs" for check in checks)


def leaves(value: Any) -> list[tuple[Any, Any]]:
    """All places of plain values: container and key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    places = []
    for key, held in list(items):
        places += leaves(held) if isinstance(held, dict | list) else [(value, key)]
    return places


def repacked(content: bytes, name: str, changed: bytes) -> bytes:
    """The bundle with one member replaced, as a careful forger would write it: a sound zip."""
    members = bundle._members(content) | {name: changed}
    return bundle._zip(members)


def test_a_bundle_is_the_same_each_time_and_verified() -> None:
    packed = bundle.pack(chain())
    assert packed == bundle.pack(chain())
    checks = {check.link: check.outcome for check in bundle.verify(packed, VIDEO)}
    assert checks == dict.fromkeys(("file", "hashes", "crops", "scores", "video"), "equal")
    assert "video" not in {check.link for check in bundle.verify(packed)}
    assert bundle.chain_of(packed) == chain().data


def test_every_single_change_is_found() -> None:
    random = np.random.default_rng(5)
    packed = bundle.pack(chain())
    for _ in range(300):  # a byte
        changed = bytearray(packed)
        place = random.integers(len(changed))
        changed[place] ^= 1 << random.integers(8)
        assert found(bytes(changed)), place
    for number in range(len(leaves(chain().data))):  # a setting, a score, a hash
        data = chain().data
        container, key = leaves(data)[number]
        old = container[key]
        container[key] = not old if isinstance(old, bool) else old + 1e-9 if isinstance(old, float) else f"{old}0"
        assert found(repacked(packed, bundle.CHAIN, bundle._canonical(data))), (key, old)
    for name in (f"{bundle.CROPS}{number:05d}" for number in range(6)):  # a crop
        assert found(repacked(packed, name, b"another crop"))
    for length in (0, 10, len(VIDEO) - 1):  # the video
        assert found(packed, VIDEO[:length])
    for cut in (1, 20, len(packed) // 2):
        assert found(packed[:-cut]) and found(packed + bytes(cut))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"x" * 500, json.dumps(chain().data).encode()],
)
def test_what_is_no_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="can't be read as a bundle"):
        bundle.verify(content)


def test_hostile_zips_are_refused() -> None:
    def archive(compression: int, names: list[str], content: bytes = b"{}") -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as made:
            for name in names:
                made.writestr(name, content)
        return file.getvalue()

    with pytest.raises(BundleError, match="compressed"):
        bundle.verify(archive(zipfile.ZIP_DEFLATED, [bundle.CHAIN, bundle.HASHES], bytes(10**7)))
    with pytest.raises(BundleError, match=r"no chain\.json"):
        bundle.verify(archive(zipfile.ZIP_STORED, ["a"]))
    with pytest.warns(UserWarning), pytest.raises(BundleError, match="two members"):
        bundle.verify(archive(zipfile.ZIP_STORED, [bundle.CHAIN, bundle.HASHES, bundle.CHAIN]))
    with pytest.raises(BundleError, match="not JSON"):
        bundle.verify(archive(zipfile.ZIP_STORED, [bundle.CHAIN, bundle.HASHES], b"{"))
    with pytest.raises(BundleError, match="not an object"):
        bundle.verify(archive(zipfile.ZIP_STORED, [bundle.CHAIN, bundle.HASHES], b"[]"))
    assert found(archive(zipfile.ZIP_STORED, [bundle.CHAIN, bundle.HASHES]))
    shared = archive(zipfile.ZIP_STORED, [bundle.CHAIN, bundle.HASHES])
    place = shared.rindex(b"PK\x01\x02")
    size = shared[: place + 20] + (10**6).to_bytes(4, "little") * 2 + shared[place + 28 :]
    with pytest.raises(BundleError, match="larger than the file"):
        bundle.verify(size)
    with pytest.raises(BundleError, match="not JSON"):
        bundle.verify(archive(zipfile.ZIP_STORED, [bundle.CHAIN, bundle.HASHES], b"[" * 10**5))
