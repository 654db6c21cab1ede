"""When the command may start a server of its own before it has asked Prefect."""

from pathlib import Path

import pytest

from longscribe.flows.embedded_server import EmbeddedServer, surely_needed
from tests.eventually import eventually


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)


def test_where_nothing_is_set_a_server_is_needed(tmp_path: Path) -> None:
    (tmp_path / "home" / "profiles.toml").write_text('active = "ephemeral"\n', encoding="utf-8")
    (tmp_path / ".env").write_text("EDITOR=vi\n", encoding="utf-8")
    pyproject = (
        '[project]\ndependencies = ["prefect", "fastapi"]\nurls = { home = "https://host" }\n'
    )
    (tmp_path / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    assert surely_needed()


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "PREFECT_PROFILE"])
def test_the_environment_may_name_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:4200/api")
    assert not surely_needed()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("home/profiles.toml", '[profiles.ours]\nPREFECT_API_URL = "http://host/api"\n'),
        (".env", "PREFECT_API_URL=http://host/api\n"),
        ("prefect.toml", '[api]\nurl = "http://host/api"\n# prefect\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://host/api"\n'),
    ],
)
def test_files_may_name_one(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert not surely_needed()


def test_a_server_ends_when_it_is_stopped_and_may_be_stopped_twice() -> None:
    server = EmbeddedServer()
    process = server._process
    assert process.poll() is None
    server.stop()
    server.stop()
    assert process.poll() is not None


def test_a_server_that_dies_is_started_again_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("longscribe.flows.embedded_server._RESTART_AFTER_S", 0.01)
    monkeypatch.setattr("sys.executable", "false")
    server = EmbeddedServer()
    may_start = eventually(lambda: server.may_start, lambda may: not may, within_s=60.0)
    server.stop()
    assert not may_start
