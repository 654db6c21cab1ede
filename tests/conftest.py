"""What all tests share: an environment of their own; one Prefect server for those that need it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from longscribe import flows

# Before anything imports torch: threads that wait for each other must not spin. On a busy machine
# two of them on one core would make every step twenty times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from longscribe.engine.processor import set_up_numba

# Before anything imports Prefect: the command line's own logging, and no traffic to anywhere.
os.environ["PREFECT_LOGGING_SETTINGS_PATH"] = str(Path(flows.__file__).with_name("logging.yml"))
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"

# Messages are compared in English, whatever the locale of whoever runs the tests.
os.environ["LONGSCRIBE_UI_LANGUAGE"] = "en"


_LONG = ("test_wheel.py", "flows", "task_runner", "test_real_weights.py", "test_ui.py")


def pytest_configure(config: pytest.Config) -> None:
    """Kernels are compiled as workers compile them, and kept for the next run of the tests."""
    set_up_numba(config.cache.mkdir("kernels"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first: what is begun last is waited for by all other processes."""
    items.sort(key=lambda item: not any(part in item.path.parts for part in _LONG))


@pytest.fixture(scope="session", autouse=True)
def converted_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Converted weights are kept for all tests, apart from the user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LONGSCRIBE_CACHE", str(tmp_path_factory.mktemp("converted")))
        yield


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the user's weights, settings or scratch folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("LONGSCRIBE_WEIGHTS_MIRROR", raising=False)
    monkeypatch.setenv("LONGSCRIBE_UI_LANGUAGE", "en")  # and put back, whatever a test speaks


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server with a database of its own, started once."""
    from prefect.settings import temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        # The heartbeat thread makes every flow call a second longer.
        temporary_settings({"flows.heartbeat_frequency": None}),
    ):
        yield
