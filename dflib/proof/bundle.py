"""A chain as one file that can be checked elsewhere: its links, the crops, and a list of their hashes.

A bundle is a zip without compression whose bytes follow from its content alone: names in order, no times.  So any
change of the file is found, also one that does not change a member.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from dflib.errors import DflibError
from dflib.proof.chain import FORMAT, Chain
from dflib.proof.replay import Check

CHAIN, HASHES, CROPS = "chain.json", "hashes.json", "crops/"
MAX_BYTES = 64 << 20
"""Largest bundle that is read: bundles have some hundred kilobytes."""


class BundleError(DflibError):
    """The file is no bundle."""


def pack(chain: Chain) -> bytes:
    """The bundle of a chain."""
    members = {CHAIN: _canonical(chain.data)}
    for number, face in enumerate(chain.data["faces"]):
        members[_crop_name(number)] = chain.images[face["face_id"]]
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    return _zip(members | {HASHES: _canonical({"format": FORMAT, "sha256": hashes})})


def verify(content: bytes, video: bytes | None = None) -> list[Check]:
    """Checks a bundle in itself, and a video file against it.

    Args:
        content: the bundle.
        video: bytes of the video file; None: it is not checked.

    Raises:
        BundleError: it is no bundle at all.
    """
    members = _members(content)
    return list(_checks(content, members, video))


def chain_of(content: bytes) -> dict[str, Any]:
    """The links of the chain in a bundle, as :class:`dflib.proof.chain.Chain` has them.

    Raises:
        BundleError: it is no bundle.
    """
    return _parsed(_members(content), CHAIN)


def _checks(content: bytes, members: Mapping[str, bytes], video: bytes | None) -> Iterator[Check]:
    same = _zip(members) == content
    yield Check("file", "equal" if same else "differs", "" if same else "its bytes are not those that dflib writes")
    listed = _parsed(members, HASHES).get("sha256")
    listed = listed if isinstance(listed, dict) else {}
    found = {name: hashlib.sha256(held).hexdigest() for name, held in members.items() if name != HASHES}
    wrong = sorted(name for name in {*listed, *found} if listed.get(name) != found.get(name))
    yield Check("hashes", "differs" if wrong else "equal", ", ".join(wrong[:5]))
    data = _parsed(members, CHAIN)
    try:
        yield _crops(data, members)
        yield _scores(data)
        if video is not None:
            yield _video(data, video)
    except (AttributeError, KeyError, TypeError) as error:
        yield Check("chain", "differs", f"its structure is not that of a chain: {type(error).__name__} {error}")


def _crops(data: Mapping[str, Any], members: Mapping[str, bytes]) -> Check:
    """The crops are those of the faces, one each."""
    names = {_crop_name(number): face for number, face in enumerate(data["faces"])}
    crops = {name for name in members if name.startswith(CROPS)}
    if crops != set(names):
        return Check("crops", "differs", f"{len(crops)} crops of {len(names)} faces")
    for name, face in names.items():
        if hashlib.sha256(members[name]).hexdigest() != face["image_sha256"]:
            return Check("crops", "differs", f"{name} is not the crop of {face['face_id']}")
    return Check("crops", "equal", f"{len(crops)}")


def _scores(data: Mapping[str, Any]) -> Check:
    """Scores are probabilities, of the faces of the bundle, and by its model."""
    faces = {face["face_id"] for face in data["faces"]}
    for row in data["predictions"]:
        if row["face_id"] not in faces or row["model_id"] != data["model"]["model_id"] or not 0 <= row["p_fake"] <= 1:
            return Check("scores", "differs", f"{row['face_id']}: {row['p_fake']} by {row['model_id']}")
    return Check("scores", "equal", f"{len(data['predictions'])}")


def _video(data: Mapping[str, Any], video: bytes) -> Check:
    stored, now = data["extraction"]["sha256"], hashlib.sha256(video).hexdigest()
    if stored is None:
        return Check("video", "not checked", f"the bundle has no SHA-256; the file has {now}")
    if stored != now:
        return Check("video", "differs", f"SHA-256 {now}, in the bundle {stored}")
    return Check("video", "equal", f"SHA-256 {now}")


def _crop_name(number: int) -> str:
    return f"{CROPS}{number:05d}"


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=True).encode()


def _zip(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
    return file.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    if len(content) > MAX_BYTES:
        raise BundleError(f"{len(content):,} bytes: no bundle is larger than {MAX_BYTES:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
                raise BundleError("it has compressed or encrypted members, which no bundle has")
            # Entries of a hostile zip may share their bytes.
            if sum(entry.file_size for entry in entries) > len(content):
                raise BundleError("its members are larger than the file, which no bundle's are")
            members = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise BundleError(f"it can't be read as a bundle: {error}") from None
    if len(members) != len(entries):
        raise BundleError("it has two members of one name")
    if CHAIN not in members or HASHES not in members:
        raise BundleError(f"it has no {CHAIN} or no {HASHES}; make it with explain VIDEO --bundle FILE")
    return members


def _parsed(members: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(members[name])
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BundleError(f"{name}: not an object")
    return value
