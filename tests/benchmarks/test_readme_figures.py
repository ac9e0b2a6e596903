"""The README says what the benchmarks measured."""

from benchmarks import readme_figures


def test_the_readme_holds_the_measured_figures() -> None:
    text = readme_figures.README.read_text()
    held = text[text.index(readme_figures.START) + len(readme_figures.START) : text.index(readme_figures.END)]
    assert held.strip() == readme_figures.section(), "run: python -m benchmarks.readme_figures --write"
