"""Chunks reconciled with known rows."""

import dataclasses
import itertools
import unicodedata
from typing import Any

from dflib.sources.chunk import Chunk, Source, Video, code
from dflib.sources.reconcile import Reconciled, clashing, crops_folder, keep_ids, other_places, reconcile
from dflib.storage import Entry


def chunk(name: str, *videos: tuple[str, str | None, int], where: str = "s3://b", kind: str = "zip") -> Chunk:
    """A chunk of (name, label, CRC); CRC 0: listed without a file."""
    uri = f"{where}/{name}" + (".zip" if kind == "zip" else "")
    source = Source(kind, uri, (Entry(uri, 100, "e"),))
    made = Chunk(source, members=len(videos) + 1)
    for clip, label, crc in videos:
        file: dict[str, Any] = dict.fromkeys(("uri", "member", "packing", "crc32", "size", "fingerprint"))
        if crc:
            file = {
                "uri": uri,
                "member": f"p/{clip}.mp4",
                "packing": "crops" if kind == "crops" else "stored",
                "crc32": crc,
                "size": 10,
                "fingerprint": f"{crc}-10",
            }
        rest: dict[str, Any] = dict.fromkeys(
            ("offset", "length", "original", "given_split", "manipulation", "compression")
        )
        made.videos.append(
            Video(
                video_id=f"d/{clip}",
                dataset="d",
                chunk=source.name,
                label=label,
                source_group=f"d/{clip}",
                problems=() if crc else ("MISSING_FILE: x",),
                **file,
                **rest,
            )
        )
    return made


def run(*runs: list[Chunk]) -> tuple[dict[str, Video], Reconciled]:
    """Several ingests in turn: the resulting table, and the outcome of the last one."""
    table: dict[str, Video] = {}
    result = Reconciled()
    for chunks in runs:
        result = reconcile(table, chunks, {new.source.uri for new in chunks})
        table |= {row.video_id: row for row in result.rows}
    return table, result


def codes(row: Video) -> list[str]:
    return [code(problem) for problem in row.problems]


def test_reconcile_new_chunk_adds_its_rows_only() -> None:
    table, result = run([chunk("a", ("x", "REAL", 1))], [chunk("b", ("y", "FAKE", 2))])
    assert set(table) == {"d/x", "d/y"} and [row.video_id for row in result.rows] == ["d/y"]
    assert (result.new, result.changed) == (1, 0)


def test_reconcile_twice_changes_nothing() -> None:
    chunks = [chunk("a", ("x", "REAL", 1)), chunk("b", ("x", "FAKE", 1)), chunk("c", ("x", "REAL", 2), ("y", None, 0))]
    table, _ = run(chunks)
    assert reconcile(table, chunks, {new.source.uri for new in chunks}).rows == []


def test_reconcile_keeps_the_first_of_two_copies() -> None:
    for runs in (
        [[chunk("a", ("x", "REAL", 1)), chunk("b", ("x", "REAL", 1))]],
        [[chunk("a", ("x", "REAL", 1))], [chunk("b", ("x", "REAL", 1))]],
    ):
        table, _ = run(*runs)
        assert (table["d/x"].chunk, table["d/x"].label, codes(table["d/x"])) == ("a", "REAL", ["DUPLICATE"])


def test_clashing_chunks_have_another_video_under_a_known_id() -> None:
    first, second = chunk("a", ("x", "REAL", 1)), chunk("b", ("y", "REAL", 3), ("x", "REAL", 2))
    third = chunk("c", ("y", "REAL", 9))
    seen = {new.source.uri for new in (first, second, third)}
    reasons = clashing({}, [first, second, third], seen)
    # The third clashes with the second alone, of which nothing is ingested.
    assert list(reasons) == [second.source.uri]
    assert "1 of its videos have the id" in reasons[second.source.uri] and "d/x" in reasons[second.source.uri]
    assert first.source.uri in reasons[second.source.uri] and "sources.dataset" in reasons[second.source.uri]
    table, _ = run([first])
    assert list(clashing(table, [second, third], seen)) == [second.source.uri]


def test_clashing_spares_chunks_that_were_replaced_moved_copied_or_took_over() -> None:
    first, changed = chunk("a", ("x", "REAL", 1)), chunk("a", ("x", "REAL", 2))
    table, _ = run([first])
    uri = first.source.uri
    for chunks in (
        [changed],
        [chunk("a", ("x", "REAL", 1), where="s3://new")],
        [chunk("b", ("x", "FAKE", 1))],
        [chunk("b", ("x", "REAL", 0))],
        [chunk("b", ("x", "REAL", 5), kind="crops")],
        [gone("a"), chunk("b", ("x", "REAL", 2))],
        [chunk("b", ("x", "REAL", 2)), chunk("a", ("other", "REAL", 4))],
    ):
        assert clashing(table, chunks, {uri}) == {}
    assert list(clashing(table, [chunk("a", ("x", "REAL", 2), where="s3://new")], set())) == ["s3://new/a.zip"]


def test_a_chunk_that_is_left_out_frees_no_ids() -> None:
    table, _ = run([chunk("a", ("x", "REAL", 1)), chunk("b", ("y", "REAL", 2))])
    # The new b has no y any more, but clashes by x: y stays where it was, so that c clashes, too.
    new = [chunk("b", ("x", "REAL", 9)), chunk("c", ("y", "REAL", 8))]
    assert list(clashing(table, new, {each.source.uri for each in new})) == [each.source.uri for each in new]


def test_reconcile_finds_label_conflict_in_any_order_and_number_of_runs() -> None:
    claims = [("a", "REAL"), ("b", "FAKE"), ("c", "REAL"), ("e", None)]
    for order in itertools.permutations(claims):
        for cut in range(5):
            chunks = [chunk(name, ("x", label, 1)) for name, label in order]
            table, _ = run(chunks[:cut], chunks[cut:])
            row = table["d/x"]
            assert row.label is None and codes(row) == ["DUPLICATE"] * 3 + ["LABEL_CONFLICT"]
            assert all(f'"{name}"' in row.problems[-1] for name, _ in claims)


def test_reconcile_resolves_conflict_when_the_chunk_is_corrected() -> None:
    table, result = run([chunk("a", ("x", "REAL", 1)), chunk("b", ("x", "FAKE", 1))], [chunk("b", ("x", "REAL", 1))])
    assert table["d/x"].label == "REAL" and codes(table["d/x"]) == ["DUPLICATE"]
    table, result = run([chunk("a", ("x", "REAL", 1)), chunk("b", ("x", "FAKE", 1))], [chunk("a", ("x", "FAKE", 1))])
    assert table["d/x"].label == "FAKE" and codes(table["d/x"]) == ["CHANGED", "DUPLICATE"]
    assert (result.new, result.changed) == (0, 1)


def test_reconcile_finds_conflict_in_a_changed_chunk() -> None:
    table, _ = run([chunk("a", ("x", "REAL", 1)), chunk("b", ("x", "REAL", 1))], [chunk("a", ("x", "FAKE", 1))])
    assert table["d/x"].label is None and "LABEL_CONFLICT" in codes(table["d/x"])


def test_reconcile_updates_row_of_a_changed_file() -> None:
    table, result = run(
        [chunk("a", ("x", "REAL", 1), ("y", "REAL", 2))], [chunk("a", ("x", "REAL", 9), ("y", "REAL", 2))]
    )
    assert [row.video_id for row in result.rows] == ["d/x"]
    assert table["d/x"].fingerprint == "9-10" and table["d/x"].problems == ("CHANGED: was 1-10, is 9-10",)
    assert reconcile(table, [chunk("a", ("x", "REAL", 9), ("y", "REAL", 2))], set()).rows == []


def test_reconcile_marks_removed_file_as_missing() -> None:
    table, _ = run([chunk("a", ("x", "REAL", 1), ("y", "REAL", 2))], [chunk("a", ("y", "REAL", 2))])
    row = table["d/x"]
    assert (row.uri, row.fingerprint, row.label) == (None, None, "REAL")
    assert row.problems == ("MISSING_FILE: p/x.mp4 is no longer in a",)


def test_reconcile_keeps_rows_when_the_chunk_is_unreadable() -> None:
    broken = chunk("a")
    broken.members = 0
    _, result = run([chunk("a", ("x", "REAL", 1))], [broken])
    assert result.rows == []


def test_reconcile_prefers_file_to_listed_name() -> None:
    for order in ([0, 1], [1, 0]):
        chunks = [chunk("a", ("x", "REAL", 0)), chunk("b", ("x", "REAL", 1))]
        table, _ = run([chunks[order[0]]], [chunks[order[1]]])
        assert (table["d/x"].chunk, table["d/x"].crc32, codes(table["d/x"])) == ("b", 1, ["ALSO"])


def test_reconcile_records_listed_name_once() -> None:
    named, filed = chunk("a", ("x", "REAL", 0)), chunk("b", ("x", "REAL", 1))
    again, _ = run([named], [filed], [named])
    assert codes(again["d/x"]) == ["ALSO"]
    assert reconcile(again, [named], set()).rows == []


def test_crops_folder_is_the_first_with_crops() -> None:
    one, two = chunk("a", ("x", "REAL", 1), kind="crops"), chunk("b", ("x", "REAL", 2), kind="crops")
    table, _ = run([one, two])
    assert crops_folder(table["d/x"]) == one.source.uri and codes(table["d/x"]) == ["DUPLICATE_DIFFERS"]
    table, _ = run([two], [chunk("zip", ("x", "REAL", 3))])
    assert crops_folder(table["d/x"]) == two.source.uri
    table, _ = run([chunk("zip", ("x", "REAL", 3))])
    assert crops_folder(table["d/x"]) is None


def test_reconcile_video_and_its_crops_share_a_row() -> None:
    for label, expected in (("REAL", ["ALSO"]), ("FAKE", ["ALSO", "LABEL_CONFLICT"])):
        for order in ([0, 1], [1, 0]):
            chunks = [chunk("a", ("x", "REAL", 1)), chunk("crops", ("x", label, 5), kind="crops")]
            table, _ = run([chunks[order[0]]], [chunks[order[1]]])
            assert table["d/x"].packing == "stored" and codes(table["d/x"]) == expected


def test_reconcile_follows_a_moved_chunk() -> None:
    table, result = run([chunk("a", ("x", "REAL", 1))], [chunk("a", ("x", "REAL", 1), where="s3://new")])
    assert (table["d/x"].uri, table["d/x"].problems, result.moved) == ("s3://new/a.zip", (), 1)


def test_reconcile_chunks_of_one_name_in_one_run_are_duplicates() -> None:
    table, result = run([chunk("a", ("x", "REAL", 1)), chunk("a", ("x", "REAL", 1), where="s3://copy")])
    assert table["d/x"].uri == "s3://b/a.zip" and codes(table["d/x"]) == ["DUPLICATE"] and result.moved == 0


def test_reconcile_keeps_all_fields_of_a_row() -> None:
    table, _ = run([chunk("a", ("x", "REAL", 1)), chunk("b", ("x", "REAL", 1))])
    first = dataclasses.asdict(chunk("a", ("x", "REAL", 1)).videos[0])
    assert {**dataclasses.asdict(table["d/x"]), "problems": ()} == first


def gone(name: str, where: str = "s3://b") -> Chunk:
    return Chunk(Source("zip", f"{where}/{name}.zip", (), gone=True), members=0)


def test_reconcile_gone_chunk_takes_the_bytes_of_its_videos_only() -> None:
    table, result = run(
        [chunk("a", ("r", "REAL", 1), ("f", "FAKE", 2)), chunk("b", ("n", "REAL", 3))],
        [gone("a")],
    )
    assert (result.missing, result.changed, result.moved) == (2, 2, 0)
    assert {video_id: row.uri is None for video_id, row in table.items()} == {"d/r": True, "d/f": True, "d/n": False}
    assert table["d/r"].problems == ("MISSING_FILE: a is gone",)
    assert (table["d/r"].label, table["d/r"].chunk, table["d/r"].fingerprint) == ("REAL", "a", None)
    # Of another place with the same name.
    table, result = run([chunk("a", ("r", "REAL", 1), where="s3://other")], [gone("a")])
    assert not result.rows and table["d/r"].uri is not None


def test_reconcile_videos_of_a_gone_chunk_move_to_a_new_one() -> None:
    for later in (
        [gone("a"), chunk("b", ("r", "REAL", 1), ("f", "FAKE", 9))],
        [chunk("b", ("r", "REAL", 1), ("f", "FAKE", 9)), gone("a")],
    ):
        table, result = run([chunk("a", ("r", "REAL", 1), ("f", "FAKE", 2), ("x", "FAKE", 3))], later)
        assert (result.moved, result.missing, result.new) == (2, 1, 0)
        assert {video_id: (row.chunk, codes(row)) for video_id, row in table.items()} == {
            "d/r": ("b", []),
            "d/f": ("b", ["CHANGED"]),
            "d/x": ("a", ["MISSING_FILE"]),
        }


def test_reconcile_gone_chunk_that_comes_back_gives_the_bytes_again() -> None:
    table, result = run([chunk("a", ("r", "REAL", 1))], [gone("a")], [chunk("a", ("r", "REAL", 1))])
    assert (result.changed, result.missing) == (1, 0)
    assert table == run([chunk("a", ("r", "REAL", 1))])[0]


def test_reconcile_a_copy_takes_over_when_the_first_chunk_has_lost_the_video() -> None:
    first, copy = chunk("a", ("r", "REAL", 1), ("x", "REAL", 2)), chunk("b", ("r", "REAL", 1))
    smaller = chunk("a", ("x", "REAL", 2))
    for later in ([gone("a"), copy], [copy, gone("a")], [smaller, copy], [copy, smaller]):
        table, result = run([first, copy], later)
        row = table["d/r"]
        assert (row.chunk, row.label, row.uri, codes(row)) == ("b", "REAL", copy.source.uri, []), later
        assert result.moved == 1
        table = {video_id: table[video_id] for video_id in ("d/r", "d/x")}
        assert reconcile(table, [copy], {copy.source.uri}).rows == []


def test_other_places_are_those_of_lost_videos_only() -> None:
    first, copy = chunk("a", ("r", "REAL", 1), ("x", "REAL", 2)), chunk("b", ("r", "REAL", 1))
    third = chunk("c", ("x", "REAL", 2))
    table, _ = run([first, copy, third])
    assert other_places(table, [gone("a")]) == {copy.source.uri, third.source.uri}
    assert other_places(table, [chunk("a", ("x", "REAL", 2))]) == {copy.source.uri}
    assert other_places(table, [first]) == set() == other_places(table, [gone("b")])


def test_videos_that_are_read_again_keep_their_ids() -> None:
    composed, before = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))

    def read(name: str) -> Chunk:
        made = chunk("a", (name, "REAL", 1), ("fake", "FAKE", 2))
        place = dataclasses.replace(made.videos[0], member=f"p/{before}.mp4")
        fake = dataclasses.replace(made.videos[1], original=f"d/{name}", source_group=f"d/{name}")
        made.videos[:] = [place, fake]
        return made

    table, _ = run([read(before)])
    again = read(composed)
    keep_ids(table, [again])
    assert reconcile(table, [again], {again.source.uri}).rows == []
    # A new chunk has its own ids; and no video takes the id of another one.
    new = [chunk("b", (composed, "REAL", 5))]
    keep_ids(table, new)
    assert new[0].videos[0].video_id == f"d/{composed}"
    swapped = chunk("a", ("y", "REAL", 1), ("x", "REAL", 2))
    swapped.videos[0] = dataclasses.replace(swapped.videos[0], member="p/x.mp4")
    keep_ids(run([chunk("a", ("x", "REAL", 1))])[0], [swapped])
    assert [row.video_id for row in swapped.videos] == ["d/y", "d/x"]


def test_videos_that_are_left_out_now_stay_as_they_are() -> None:
    names = ("x", "y", "z", "w")
    first = chunk("a", *((name, "REAL", number) for number, name in enumerate(names, 1)))
    for number, place in enumerate(("p/x", "p/y", "closed/z", "p/w")):
        first.videos[number] = dataclasses.replace(first.videos[number], member=place)
    table, _ = run([first])
    # The labels file lists x still.
    again = chunk("a", ("x", "REAL", 0))
    again.account.leave_out("NOT_LOOKED_AT", "without an ending", "p/x")
    again.account.leave_out("HIDDEN", "that are hidden", "p/y")
    again.account.leave_out("NOT_READABLE", "that are folders", "closed")
    again.account.leave_out("NOT_A_FILE", "that are broken links", "p/w")
    assert [row.video_id for row in reconcile(table, [again], {again.source.uri}).rows] == ["d/w"]
