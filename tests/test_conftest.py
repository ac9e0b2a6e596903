"""The summary line about skipped tests."""

from types import SimpleNamespace

from tests.conftest import NO_SAMPLE_DATA, SAMPLE_DATA, sample_data_line


def test_sample_data_line_counts_tests_without_sample_data_only() -> None:
    reports = [
        SimpleNamespace(longrepr=("f.py", 1, f"Skipped: {NO_SAMPLE_DATA} /x (set DFLIB_SAMPLE_DATA)")),
        SimpleNamespace(longrepr=("f.py", 2, "Skipped: could not import 'dlib'")),
        SimpleNamespace(longrepr=("g.py", 3, f"Skipped: {NO_SAMPLE_DATA} /x (set DFLIB_SAMPLE_DATA)")),
    ]
    assert sample_data_line(reports).startswith(f"2 tests skipped: no sample data at {SAMPLE_DATA}; set ")
    assert sample_data_line(reports[1:2]) == sample_data_line([]) == ""
