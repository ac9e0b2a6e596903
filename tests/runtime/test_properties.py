"""Spark properties files, held against Java's own reader."""

import shutil
import subprocess
from pathlib import Path

import pytest

from dflib.errors import ConfigError
from dflib.runtime import properties

CONF = Path(__file__).parents[2] / "conf" / "spark"
TEXT = (
    "# comment\n! comment\n  \n"
    "spark.master=local[2]\nempty\nempty.equals=\nempty.blank \n"
    "colon:value\nblank value of words  \nboth = x = y\ntabs\t\t1\n"
    "   indented   2\nlong one,\\\n    two,\\\n\tthree\nno.continuation a\\\\\nnext 3\n"
    "escaped\\ key\\=\\: 4\nunicode \\u00e9\\t|\nother \\q\\#\nspark.x é\n"
    "twice 1\ntwice 2\ncrlf 5\r\nlast \\"
)
EXPECTED = {
    "spark.master": "local[2]",
    "empty": "",
    "empty.equals": "",
    "empty.blank": "",
    "colon": "value",
    "blank": "value of words",
    "both": "x = y",
    "tabs": "1",
    "indented": "2",
    "long": "one,two,three",
    "no.continuation": "a\\",
    "next": "3",
    "escaped key=:": "4",
    "unicode": "é\t|",
    "other": "q#",
    "spark.x": "é",
    "twice": "2",
    "crlf": "5",
    "last": "",
}
JAVA = """
import java.io.*; import java.nio.charset.StandardCharsets; import java.util.*;
public class Show {
  public static void main(String[] a) throws Exception {
    Properties p = new Properties();
    p.load(new InputStreamReader(new FileInputStream(a[0]), StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, "UTF-8");
    for (String k : p.stringPropertyNames()) out.print(k + "\\u0001" + p.getProperty(k) + "\\u0002");
  }
}
"""


def test_read_takes_every_form_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    path.write_bytes(TEXT.encode())
    assert properties.read(path) == EXPECTED


@pytest.mark.skipif(shutil.which("javac") is None and shutil.which("java") is None, reason="no Java")
def test_read_and_write_agree_with_java(tmp_path: Path) -> None:
    (tmp_path / "Show.java").write_text(JAVA)
    (tmp_path / "x.conf").write_bytes(TEXT.encode())
    (tmp_path / "y.conf").write_text(properties.write(EXPECTED), encoding="utf-8")
    for name in ("x.conf", "y.conf"):
        command = ["java", str(tmp_path / "Show.java"), str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, timeout=120)
        if b"compiler" in done.stderr or b"jdk.compiler" in done.stderr:
            pytest.skip("this Java has no compiler")
        assert done.returncode == 0, done.stderr
        pairs = [pair.split("\1") for pair in done.stdout.decode().split("\2")[:-1]]
        # Spark strips blanks around the value, java.util.Properties only those before it.
        assert {key: value.strip(" \t\f") for key, value in pairs} == EXPECTED


def test_write_is_read_back(tmp_path: Path) -> None:
    settings = {"a b=:": "#x", "#c": "!y", "path": "C:\\x\\u0041", "lines": "one\ntwo", "empty": "", "umlaut": "é"}
    path = tmp_path / "x.conf"
    path.write_text(properties.write(settings), encoding="utf-8")
    assert properties.read(path) == settings


def test_merged_lays_a_file_over_common_conf(tmp_path: Path) -> None:
    (tmp_path / "own.conf").write_text("b 3\nc 4\n")
    assert properties.merged(tmp_path / "own.conf") == {"b": "3", "c": "4"}
    (tmp_path / "common.conf").write_text("a 1\nb 2\n")
    assert properties.merged(tmp_path / "own.conf") == {"a": "1", "b": "3", "c": "4"}


def test_files_of_the_project_are_complete() -> None:
    names = {path.stem for path in CONF.glob("*.conf")}
    assert names == {"common", "local", "standalone", "yarn", "k8s", "metastores"}
    for name in sorted(names - {"common", "metastores"}):
        found = properties.merged(CONF / f"{name}.conf")
        assert found["spark.sql.session.timeZone"] == "UTC" and found["spark.driver.memory"] == "3g"
        assert found["spark.sql.shuffle.partitions"] == ("4" if name == "local" else "8")
    assert properties.read(CONF / "metastores.conf") == {}


@pytest.mark.parametrize(("content", "message"), [(b"a \\u12", "broken .u escape"), (b"a \xff", "cannot be read")])
def test_read_rejects_a_broken_file_with_its_path(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.conf"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}: .*{message}"):
        properties.read(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        properties.read(tmp_path / "nowhere.conf")
