"""The report as text for a terminal."""

from dflib.reporting import text
from tests.reporting.made_findings import findings, video


def test_render_states_why_there_is_no_interval() -> None:
    rows = [video(f"v{number}", number / 5, "FAKE" if number > 2 else "REAL", source_group="g") for number in range(5)]
    found = findings(rows)
    lines = text.render(found, "file:///page.html").splitlines()
    assert [line for line in lines if line.startswith("AUC ")] == [f"{'AUC':34}  1.000  no interval (a)"]
    assert f"(a) no interval: {found.metric('auc').reason}" in lines


def test_render_begins_with_the_notice_of_a_small_set() -> None:
    lines = text.render(findings([video("a", 0.9, "FAKE"), video("b", 0.2, "REAL")]), "file:///page.html").splitlines()
    (notice,) = [number for number, line in enumerate(lines) if line.startswith("Small set: ")]
    assert notice < lines.index(next(line for line in lines if "verdict REAL" in line))


def test_printable_replaces_control_characters() -> None:
    assert text.printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a"


def test_numbers_are_dashes_where_not_defined() -> None:
    assert (text.number(float("nan")), text.signed(float("nan"))) == ("–", "–")
    assert (text.number(0.1236), text.signed(0.1236), text.signed(-0.1)) == ("0.124", "+0.124", "−0.100")
