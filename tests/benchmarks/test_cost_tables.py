"""README and documentation hold what the benchmarks measured."""

from benchmarks import cost_tables


def test_pages_hold_the_measured_figures() -> None:
    for page, text in cost_tables.pages().items():
        assert page.read_text() == text, f"{page.name} is out of date; run: python -m benchmarks.cost_tables"


def test_readme_table_has_a_row_for_each_variant() -> None:
    rows = [line for line in cost_tables.readme() if line.startswith("| ")]
    assert len(rows) == 1 + len(cost_tables.README_VARIANTS)
