"""The dflib command: listings, and names that are no job."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dflib.cli import installation
from dflib.cli.main import jobs, main, parts_lines
from dflib.cli.options import parse
from dflib.cli.submit import Submission
from dflib.cli.tools import TOOLS, check, command
from dflib.config import load as conf_files
from dflib.errors import ConfigError
from dflib.parts import Kind, Part, catalog

HOME = Path(__file__).parents[2]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    """Exit code, output and errors of the command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.mark.parametrize("name", ["help", "--help", "-h"])
def test_help_lists_every_job_with_its_docstring(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, err = run(capsys, name)
    assert (code, err) == (0, "")
    files = sorted((HOME / "jobs").glob("*.py"))
    assert len(files) >= 10
    for path in files:
        text = ast.get_docstring(ast.parse(path.read_text()))
        assert text and "\n" not in text, f"{path.name}: its docstring is one line"
        assert f"  {path.stem:<13} {text}\n" in out
    for tool, text in TOOLS.items():
        assert f"  {tool:<13} {text}\n" in out


def test_no_arguments_list_the_jobs_and_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, out) == (2, "") and "  extract  " in err


def test_an_unknown_job_is_refused_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "extrct")
    assert (code, out) == (2, "") and "no job named 'extrct'; did you mean extract? one of: checks estimate " in err


def test_job_help_shows_its_docstring_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "status", "--help")
    assert code == 0 and out.startswith("usage: dflib status") and "--dry-run" in out and "Shows what is done" in out


def test_output_to_a_reader_that_has_ended_is_no_error() -> None:
    """As by ``dflib --help | head -1``."""
    command = [sys.executable, "-c", "from dflib.cli.main import main; main(['--help'])"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HOME)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_jobs_are_thin() -> None:
    for path in jobs().values():
        tree = ast.parse(path.read_text())
        docstring, *imports, guard = (type(node).__name__ for node in tree.body)
        assert (docstring, set(imports), guard) == ("Expr", {"ImportFrom"}, "If"), path
        (call,) = tree.body[-1].body  # type: ignore[attr-defined]
        assert ast.unparse(call.value.func) in ("main", "main_of"), path


def test_parts_lists_every_part_of_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "parts")
    assert code == 0
    for kind in catalog.KINDS:
        assert f"{kind.plural}\n" in out
        for part in kind:
            assert f"  {part.usage}" in out and part.summary in out


def test_parts_lines_state_what_is_installed() -> None:
    parts = (Part("a", "first"), Part("bb", "second", extra="more", requires="there", argument=r"\d+"))
    kinds = [
        Kind("k", "Kinds", "x", *parts, Part("c", "third", extra="less", requires="gone")),
        Kind("n", "Nothing", "x"),
    ]
    assert parts_lines(kinds, {"there": 1}.get) == [
        "Kinds",
        "  a     first",
        "  bb:N  second [extra more: installed]",
        "  c     third [extra less: not installed]",
        "",
        "Nothing",
        "  none",
    ]


def test_sql_prints_column_names() -> None:
    found = command("sql", Submission(("--a", "b"), False, False), parse("sql", "", ["--", "-e", "SELECT 1"]))
    assert Path(found[0]).name == "spark-sql" and found[1:3] == ["--a", "b"]
    assert found[3:] == ["--conf", "spark.sql.cli.print.header=true", "-S", "-e", "SELECT 1"]


@pytest.mark.parametrize(("name", "server"), [("thrift", "HiveThriftServer2"), ("history", "HistoryServer")])
def test_servers_are_started_by_their_class(name: str, server: str) -> None:
    found = command(name, Submission(("--a",), False, False), parse(name, "", ["--", "--conf", "x=y"]))
    assert Path(found[0]).name == "spark-submit" and found[1] == "--a" and "x=y" in found
    assert found[-3] == "--class" and found[-2].endswith(f".{server}") and found[-1] == "spark-internal"


def test_history_needs_the_folder_of_event_logs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set monitoring\.event_log=FOLDER"):
        check("history", conf_files.load(HOME / "conf", "local"))
    check("history", conf_files.load(HOME / "conf", "local", [f"monitoring.event_log={tmp_path}"]))


@pytest.mark.parametrize("name", ["sql", "thrift"])
def test_sql_is_refused_where_no_names_are_registered(name: str, tmp_path: Path) -> None:
    """As on a copied root, whose names would stand for the original's tables."""
    with pytest.raises(ConfigError, match=f"no names are registered for the tables below file://{tmp_path}"):
        check(name, conf_files.load(HOME / "conf", "local", [f"tables.root={tmp_path}"]))
    check("history", conf_files.load(HOME / "conf", "local", [f"tables.root={tmp_path}", "monitoring.event_log=/e"]))


def test_conf_dir_is_the_option_then_the_variable_then_dflibs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DFLIB_CONF", raising=False)
    assert installation.conf_dir() == HOME / "conf"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "base.yml").write_text("")
    monkeypatch.setenv("DFLIB_CONF", str(tmp_path / "a"))
    assert installation.conf_dir() == tmp_path / "a"
    assert installation.conf_dir(tmp_path / "b") == tmp_path / "b"
    with pytest.raises(ConfigError, match=f"--conf-dir {tmp_path}: no base.yml there; copy {HOME}/conf "):
        installation.conf_dir(tmp_path)


def test_check_names_the_command_that_fetches_the_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFLIB_JARS", str(tmp_path))
    with pytest.raises(ConfigError, match=f"no Delta jars in {tmp_path}; run 'make setup', or set DFLIB_JARS"):
        installation.check()
    (tmp_path / "delta-spark_2.13-4.0.1.jar").write_text("")
    installation.check()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigError, match="java of PATH was not found"):
        installation.check()
