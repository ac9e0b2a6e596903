"""What is checked of the machine before a job starts."""

import os
import subprocess
from pathlib import Path

import pytest

from dflib.cli import installation
from dflib.errors import ConfigError

HOME = Path(__file__).parents[2]
WORDS = {8: "1.8.0_402", 11: "11.0.22", 17: "17.0.15", 21: "21.0.2", 25: "25"}


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "delta-spark_2.13.jar").write_text("")
    monkeypatch.setenv("DFLIB_JARS", str(tmp_path / "jars"))
    monkeypatch.delenv("JAVA_HOME", raising=False)


def java(folder: Path, version: int, release: bool = True) -> Path:
    """A Java home that only knows its version."""
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin" / "java"
    script.write_text(f"""#!/bin/sh\necho 'openjdk version "{WORDS[version]}" 2026-01-01' >&2\n""")
    script.chmod(0o755)
    if release:
        (folder / "release").write_text(f"""IMPLEMENTOR="x"\nJAVA_VERSION="{WORDS[version]}"\n""")
    return folder


@pytest.mark.parametrize("release", [True, False], ids=["release file", "asked"])
@pytest.mark.parametrize("version", WORDS)
def test_the_version_of_java_is_found(
    jars: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, release: bool
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "java", version, release)))
    assert installation.java_version() == version
    if version in (17, 21):
        installation.check()
    else:
        with pytest.raises(
            ConfigError, match=rf"^Java 17 or 21 is needed, .*/bin/java of JAVA_HOME is Java {version};"
        ):
            installation.check()


def test_java_of_the_path_is_taken_through_links(jars: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(java(tmp_path / "java", 11) / "bin" / "java")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ConfigError, match="java of PATH is Java 11;"):
        installation.check()


def test_java_home_without_java_is_an_error_as_in_spark(
    jars: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere/bin/java of JAVA_HOME was not found"):
        installation.check()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="java of PATH was not found"):
        installation.check()


def test_tools_of_make_take_a_java_before_its_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORDS, 21, "21-ea")
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "java", 21)))
    subprocess.run(["bash", HOME / "conf" / "check-tools.sh"], check=True, timeout=60)


@pytest.mark.parametrize("version", [8, 11, 17, None])
def test_tools_of_make_name_the_java_that_is_needed(tmp_path: Path, version: int | None) -> None:
    home = tmp_path / "nowhere" if version is None else java(tmp_path / "java", version)
    done = subprocess.run(
        ["bash", HOME / "conf" / "check-tools.sh"], env={**os.environ, "JAVA_HOME": str(home)}, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == (0 if version == 17 else 2)
    assert version == 17 or (done.stderr.count("\n") == 1 and done.stderr.startswith("Java 17 or 21 is needed"))
