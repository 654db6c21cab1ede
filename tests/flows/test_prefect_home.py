"""The folder of the embedded server's database, before there is a server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe.errors import OutputError
from longscribe.flows.prefect_home import check_prefect_home, prefect_home
from tests.flows.conftest import PROJECT


def test_it_is_the_one_that_is_set_or_in_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "set"))
    assert prefect_home() == tmp_path / "set"
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prefect_home() == tmp_path / ".prefect"


def test_it_is_made_and_left_clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "a" / "b"))
    check_prefect_home()
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.fixture(autouse=True)
def no_server_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "PREFECT_PROFILE"])
def test_where_a_server_may_be_named_it_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file"))
    monkeypatch.setenv(name, "http://127.0.0.1:4200/api")
    check_prefect_home()


@pytest.mark.parametrize("name", ["file", "file/inside"])
def test_one_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / name))
    with pytest.raises(OutputError, match="PREFECT_HOME"):
        check_prefect_home()


def test_the_command_says_so_before_anything_slow(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recording = PROJECT / "demo" / "synthetic.opus"
    done = subprocess.run(
        [sys.executable, "-m", "longscribe", str(recording), "--model", "demo", "-o", tmp_path],
        env={**os.environ, "PREFECT_HOME": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("longscribe: Prefect's folder ")
    assert len(done.stderr.splitlines()) == 1
