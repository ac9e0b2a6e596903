"""Ready-cut face crops: rows of ``videos`` from the names of the files.  No image and no video is read."""

from dataclasses import dataclass

from dflib.config import SourcesConfig, digest
from dflib.errors import SourceError
from dflib.sources import crop_classes, images, names
from dflib.sources.chunk import Chunk, Source, Video
from dflib.sources.crop_names import CropPattern, suggestion
from dflib.storage import Entry


@dataclass(frozen=True)
class CropFile:
    """A crop file whose name follows the pattern.

    Attributes:
        face_id, video_id: keys of its rows.
        frame, face: numbers from its name.
        original: ``video_id`` of the original, where the name has one.
        label: REAL or FAKE, by its folder.
        split: train, validation or test, where a folder names one.
        name: path below the crops folder.
        entry: the file in storage.
    """

    face_id: str
    video_id: str
    frame: int
    face: int
    original: str | None
    label: str
    split: str | None
    name: str
    entry: Entry


def extractor_of(sources: SourcesConfig) -> str:
    """The extractor of ready-cut crops, such as ``crops-1a2b3c4d``: a hash of every setting that changes rows."""
    settings = [
        sources.crop_pattern,
        sorted(map(str.lower, sources.crop_real)),
        sorted(map(str.lower, sources.crop_fake)),
    ]
    return f"crops-{digest(settings)[:8]}"


def listing_settings(sources: SourcesConfig) -> str:
    """Everything but the files that decides what a crops folder gives.

    It is part of the folder's etag, so that a folder is listed again when, for example, more kinds of images are read.
    """
    return " ".join((sources.dataset, extractor_of(sources), *images.ENDINGS))


def read_listing(source: Source, sources: SourcesConfig) -> tuple[Chunk, list[CropFile]]:
    """A crops folder's rows of ``videos`` and the crops to read, from file names alone.

    Every file is a crop or is counted in a problem of the chunk.

    Raises:
        SourceError: no image lies below a folder for real or fake crops, no name of an image follows the pattern, or
            all crops are of one class and ``sources.crop_one_class`` is false.
        CountError: files were lost or counted twice.
    """
    chunk = Chunk(source, len(source.files))
    account = chunk.account
    pattern, extractor = CropPattern(sources.crop_pattern), extractor_of(sources)
    faces: dict[str, CropFile] = {}
    by_video: dict[str, list[CropFile]] = {}
    unplaced: list[str] = []
    placed: list[str] = []
    for entry in source.files:
        name = entry.uri.removeprefix(source.uri + "/")
        label = crop_classes.label_of(name, sources)
        file = name.rpartition("/")[2]
        stem, ending = file.rpartition(".")[0], file.rpartition(".")[2].lower() if "." in file else ""
        reason = names.unsafe(name)
        if reason:
            account.leave_out("UNSAFE_NAME", f"whose name {reason}", name)
            continue
        if names.is_hidden(name) or entry.size < 0:
            code, kind = ("HIDDEN", "that are hidden") if entry.size >= 0 else ("NOT_A_FILE", "that are broken links")
            account.leave_out(code, kind, name)
            continue
        if f".{ending}" not in images.ENDINGS:
            account.leave_out("NOT_IMAGE", f".{ending}" if ending else "without ending", name)
            continue
        if label is None:
            unplaced.append(name)
            continue
        placed.append(name)
        parsed = pattern.parse(stem)
        if parsed is None:
            account.leave_out("BAD_CROP_NAME", f"that do not follow {sources.crop_pattern}", name)
            continue
        video_id = f"{sources.dataset}/{parsed.video}"
        face_id = f"{video_id}/{extractor}/{parsed.frame:06d}/{parsed.face:02d}"
        original = f"{sources.dataset}/{parsed.original}" if parsed.original else None
        crop = CropFile(
            face_id, video_id, parsed.frame, parsed.face, original, label, names.split_of(name), name, entry
        )
        # A second file of the same face gives no face, but its label and split may contradict those of the first.
        by_video.setdefault(video_id, []).append(crop)
        if faces.setdefault(face_id, crop) is not crop:
            account.leave_out("DUPLICATE", "with the face of another one", name)
    unread = crop_classes.unread_folders(unplaced, placed)
    for folder, held in unread.items():
        for name in held:
            place = f"below {names.shown(folder)}" if folder else "outside all folders"
            account.leave_out("NOT_IN_CLASS_FOLDER", place, name)
    account.rows = len(faces)
    account.check(source.uri, chunk.members)
    _refuse_unusable(source.uri, sources, placed, list(faces.values()), unread)
    chunk.videos = [_video(chunk, sources.dataset, video_id, held) for video_id, held in sorted(by_video.items())]
    return chunk, list(faces.values())


def _refuse_unusable(
    uri: str, sources: SourcesConfig, placed: list[str], crops: list[CropFile], unread: dict[str, list[str]]
) -> None:
    """Raises :class:`SourceError` for a folder that would give no crops, or those of one class without being asked."""
    left = f"; not read: {crop_classes.named(unread)}" if unread else ""
    if not placed:
        classes = ", ".join((*sources.crop_real, *sources.crop_fake))
        fix = (
            crop_classes.hint(unread, sources)
            or "sources.crops to the folder above them, or set sources.crop_real and sources.crop_fake"
        )
        raise SourceError(f"{uri}: no image below a folder named {classes}{left}; set {fix}")
    if not crops:
        stems = [name.rpartition("/")[2].rpartition(".")[0] for name in placed]
        raise SourceError(
            f"{uri}: none of the {len(placed):,} images has a name that follows "
            f"sources.crop_pattern={sources.crop_pattern}, the first is {names.shown(min(placed))}; {suggestion(stems)}"
        )
    labels = {crop.label for crop in crops}
    if len(labels) == 1 and not sources.crop_one_class:
        (label,) = labels
        missing = "FAKE" if label == "REAL" else "REAL"
        named = len(placed) - sum(crop_classes.label_of(name, sources) == label for name in placed)
        misnamed = f" ({named:,} images of the other class do not follow sources.crop_pattern)" if named else ""
        fix = crop_classes.hint(unread, sources, missing)
        fix = fix or f"sources.crop_{missing.lower()} to the names of the folders with {missing} crops"
        raise SourceError(
            f"{uri}: all {len(crops):,} crops are {label}{misnamed}{left}; set {fix}, or sources.crop_one_class=true "
            "if the other class is meant to be missing"
        )


def _video(chunk: Chunk, dataset: str, video_id: str, crops: list[CropFile]) -> Video:
    labels = sorted({crop.label for crop in crops})
    originals = sorted({crop.original for crop in crops if crop.original})
    splits = sorted({crop.split or "none" for crop in crops})
    problems = []
    if len(labels) > 1:
        problems.append(f"LABEL_CONFLICT: crops lie in folders for real and for fake of {chunk.source.name}")
    if len(originals) > 1:
        problems.append(f"BAD_METADATA: crops name {len(originals)} originals, {' and '.join(originals[:2])}")
    if len(splits) > 1:
        problems.append(f"SPLIT_CONFLICT: crops lie in {' and '.join(splits)}")
    listing = sorted((crop.name, crop.entry.size, crop.entry.etag) for crop in crops)
    original = originals[0] if len(originals) == 1 else None
    return Video(
        video_id=video_id,
        dataset=dataset,
        chunk=chunk.source.name,
        uri=chunk.source.uri,
        member=None,
        offset=None,
        length=None,
        packing="crops",
        crc32=None,
        size=sum(crop.entry.size for crop in crops),
        fingerprint=digest(listing),
        label=labels[0] if len(labels) == 1 else None,
        original=original,
        source_group=original or video_id,
        given_split=splits[0] if len(splits) == 1 and splits[0] != "none" else None,
        manipulation=None,
        compression=None,
        problems=tuple(problems),
    )
