"""What all tests share: an environment of their own."""

import os
from pathlib import Path

import pytest

import flows

# Before anything imports Prefect: the command line's own logging, and no traffic to anywhere.
os.environ["PREFECT_LOGGING_SETTINGS_PATH"] = str(Path(flows.__file__).with_name("logging.yml"))
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the user's weights, settings or scratch folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("LONGSCRIBE_WEIGHTS_MIRROR", raising=False)
