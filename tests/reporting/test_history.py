"""Publishing pages: stable names, earlier pages, and runs with nothing new."""

import hashlib
from pathlib import Path

import pytest

from dflib.errors import StorageError
from dflib.reporting import history
from dflib.reporting.history import Made, Place, publish
from dflib.storage import Storage
from tests.reporting.made_findings import WHEN

RUNS = [Made(f"2026010{day}T030405000000-report-{day}", f"0.1.{day}", WHEN.replace(day=day)) for day in (1, 2, 3)]


def render(content: str, parts: int = 1) -> history.Render:
    """Pages that hold their mark, their content, and their links."""

    def rendered(place: Place) -> list[str]:
        links = [place.newest, *(link.href for link in place.earlier), *(place.part(n + 1) for n in range(parts))]
        mark = f'<meta name="dflib-report" content="{place.mark}">' if place.mark else ""
        run = place.made.run_id if place.made else ""
        return [f"{mark}{content} {number} {run} " + " ".join(links) for number in range(parts)]

    return rendered


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.html"))}


def put(root: Path, content: str, made: Made, parts: int = 1) -> bool:
    return publish(Storage(), f"file://{root}", "name", made, render(content, parts))


def test_publish_keeps_the_name_of_the_newest_page_and_a_copy_of_each_run(tmp_path: Path) -> None:
    assert put(tmp_path, "one", RUNS[0], parts=2)
    assert put(tmp_path, "two", RUNS[1])
    assert put(tmp_path, "three", RUNS[2])
    found = files(tmp_path)
    assert set(found) == {
        "name.html",
        f"name/{RUNS[0].run_id}.html",
        f"name/{RUNS[0].run_id}.part-2.html",
        f"name/{RUNS[1].run_id}.html",
        f"name/{RUNS[2].run_id}.html",
    }
    assert "three 0" in found["name.html"] and "one 0" in found[f"name/{RUNS[0].run_id}.html"]
    # Links to earlier runs, newest first, relative to where each page lies.
    earlier = [f"{run.run_id}.html" for run in (RUNS[1], RUNS[0])]
    assert " ".join(f"name/{name}" for name in earlier) in found["name.html"]
    assert found[f"name/{RUNS[2].run_id}.html"].endswith(f"../name.html {' '.join(earlier)} {RUNS[2].run_id}.html")


def test_every_link_leads_to_a_file(tmp_path: Path) -> None:
    for number, run in enumerate(RUNS):
        put(tmp_path, f"content {number}", run, parts=3)
    for name, text in files(tmp_path).items():
        links = [word for word in text.split() if word.endswith(".html")]
        assert len(links) >= 4
        for link in links:
            assert ((tmp_path / name).parent / link).is_file(), (name, link)


def test_publish_writes_nothing_when_the_content_is_the_same(tmp_path: Path) -> None:
    put(tmp_path, "one", RUNS[0], parts=2)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.html")}
    assert not put(tmp_path, "one", RUNS[1], parts=2)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.html")} == before
    assert RUNS[0].run_id in (tmp_path / "name.html").read_text()


@pytest.mark.parametrize("lost", ["name.html", f"name/{RUNS[0].run_id}.html", f"name/{RUNS[0].run_id}.part-2.html"])
def test_publish_restores_lost_files(tmp_path: Path, lost: str) -> None:
    put(tmp_path, "one", RUNS[0], parts=2)
    (tmp_path / lost).unlink()
    assert put(tmp_path, "one", RUNS[1], parts=2)
    assert (tmp_path / "name.html").is_file() and (tmp_path / f"name/{RUNS[1].run_id}.part-2.html").is_file()


def test_publish_keeps_a_page_of_a_version_without_marks(tmp_path: Path) -> None:
    (tmp_path / "name.html").write_text("old page")
    assert put(tmp_path, "one", RUNS[0])
    kept = f"name/undated-{hashlib.sha256(b'old page').hexdigest()[:12]}.html"
    found = files(tmp_path)
    assert found[kept] == "old page"
    assert kept in found["name.html"]


def test_publish_writes_the_newest_page_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "one", RUNS[0])
    before = (tmp_path / "name.html").read_text()

    def full(self: Storage, uri: str, content: bytes) -> None:
        raise StorageError("no space left")

    monkeypatch.setattr(Storage, "write", full)
    with pytest.raises(StorageError):
        put(tmp_path, "two", RUNS[1], parts=2)
    assert (tmp_path / "name.html").read_text() == before


def test_earlier_pages_are_named_by_their_date(tmp_path: Path) -> None:
    (tmp_path / "name.html").write_text("old page")
    put(tmp_path, "one", RUNS[0])
    earlier: list[str] = []

    def rendered(place: Place) -> list[str]:
        earlier[:] = [link.text for link in place.earlier]
        return render("two")(place)

    assert publish(Storage(), f"file://{tmp_path}", "name", RUNS[1], rendered)
    assert earlier == ["2026-01-01 03:04:05 UTC", f"undated-{hashlib.sha256(b'old page').hexdigest()[:12]}"]


def test_mark_of_a_page_is_not_forged_by_its_content(tmp_path: Path) -> None:
    forged = f'<meta name="dflib-report" content="{"0" * 64} forged">'
    assert put(tmp_path, forged, RUNS[0])
    assert not put(tmp_path, forged, RUNS[1])


def test_unreadable_page_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    """An outage must not replace the newest page, of which nothing is known then."""

    class Outage(Storage):
        def read_range(self, uri: str, offset: int, length: int) -> bytes:
            raise StorageError(f"{uri}: no answer")

    assert publish(Storage(), f"file://{tmp_path}", "name", RUNS[0], render("one"))
    before = files(tmp_path)
    with pytest.raises(StorageError, match="no answer"):
        publish(Outage(), f"file://{tmp_path}", "name", RUNS[1], render("two"))
    assert files(tmp_path) == before
