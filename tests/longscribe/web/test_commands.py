"""`longscribe users` and `longscribe keys`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from longscribe.web import keys_command, users_command
from longscribe.web.database import Database
from longscribe.web.first_login import first_login
from longscribe.web.keys import find_key
from longscribe.web.settings import WebSettings


@pytest.fixture
def database_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'web.sqlite'}"
    monkeypatch.setenv("LONGSCRIBE_WEB_DATABASE", url)
    return url


def users(*arguments: str, said: str = "") -> Result:
    return CliRunner().invoke(users_command.main, arguments, input=said)


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(keys_command.main, arguments)


@pytest.mark.usefixtures("database_url")
def test_users_are_added_and_closed() -> None:
    assert users("add", "ana", "--admin", said="a long password\n").exit_code == 0
    assert users("add", "bob", "--no-password").exit_code == 0
    assert users("disable", "bob").exit_code == 0
    assert users("list").output == "ana\tadmin\nbob\tclosed\tno password\n"
    for asked, said, words in (
        (("add", "ana"), "a long password\n", "already"),
        (("add", "eve"), "short\n", "characters"),
        (("add", "../x"), "a long password\n", "no name of a user"),
        (("password", "nobody"), "", "no user 'nobody'"),
    ):
        refused = users(*asked, said=said)
        assert (refused.exit_code, words in refused.output) == (1, True), refused.output


def test_keys_are_made_and_revoked(database_url: str) -> None:
    made = keys("add", "robot", "--scope", "read", "--days", "30", "--largest", "2GB")
    secret = made.output.splitlines()[-1]
    database = Database(database_url)
    with database.begin() as db:
        found = find_key(db, secret)
        assert found is not None
        assert (found[0].scopes, found[0].largest_bytes) == (["read"], 2_000_000_000)
    assert keys("list", "robot").output == f"{secret[:8]}...\trobot\tread\tvalid\n"
    assert keys("revoke", "robot", "robot").exit_code == 0
    assert keys("list", "robot").output.endswith("revoked\n")
    with database.begin() as db:
        assert find_key(db, secret) is None
    database.close()
    assert "no scope" in keys("add", "x", "--scope", "root").output
    assert keys("add", "x", "--largest", "much").exit_code == 2


def test_the_first_login_is_made_once(database_url: str, tmp_path: Path) -> None:
    settings = WebSettings.from_environment()
    file = first_login(settings, tmp_path)
    name, _, password = file.read_text().strip().partition(":")
    assert (name, len(password), file.stat().st_mode & 0o777) == ("longscribe", 24, 0o600)
    assert first_login(settings, tmp_path).read_text() == f"{name}:{password}\n"
