"""What all tests share: an environment of their own; one Prefect server for those that need it."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longscribe import flows
from longscribe.flows.embedded_server import EmbeddedServer

# Before anything imports torch: threads that wait for each other must not spin. On a busy machine
# two of them on one core would make every step twenty times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from longscribe.engine.processor import set_up_numba
from tests import made_once

# Before anything imports Prefect: the command line's own logging, and no traffic to anywhere.
os.environ["PREFECT_LOGGING_SETTINGS_PATH"] = str(Path(flows.__file__).with_name("logging.yml"))
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"

# Where the tests run in the background of a script, Ctrl-C is ignored by whatever they start, and
# what ends by it never does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Messages are compared in English, whatever the locale of whoever runs the tests.
os.environ["LONGSCRIBE_UI_LANGUAGE"] = "en"


_LONG = ("test_wheel.py", "flows", "task_runner", "test_real_weights.py", "test_ui.py")


_MAKING = pytest.StashKey[list[subprocess.Popen[bytes]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Kernels are compiled as workers compile them, and kept for the next run of the tests.

    Where several processes will share the tests, what all need is made while they collect them.
    """
    folder = _kept(config)
    set_up_numba(folder)
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        missing = [what for what in ("database", "kernels") if not made_once.is_made(what, folder)]
        config.stash[_MAKING] = [made_once.start_making(what, folder) for what in missing]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left running by tests that ended early."""
    for making in config.stash.get(_MAKING, []):
        making.terminate()
        making.wait()


def _kept(config: pytest.Config) -> Path:
    """The folder of what is kept between runs of the tests."""
    return Path(config.cache.mkdir("made_once"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first: what is begun last is waited for by all other processes."""
    items.sort(key=lambda item: not any(part in item.path.parts for part in _LONG))


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels(pytestconfig: pytest.Config) -> None:
    """They are there, where several processes share the tests."""
    made_once.until_made("kernels", _kept(pytestconfig))


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
def prefect_home(pytestconfig: pytest.Config) -> Callable[[Path], Path]:
    """Makes a folder a home for a Prefect server, with an empty database."""
    return lambda home: made_once.prefect_home(home, _kept(pytestconfig))


@pytest.fixture(scope="session")
def prefect_server(
    tmp_path_factory: pytest.TempPathFactory, prefect_home: Callable[[Path], Path]
) -> Iterator[None]:
    """A Prefect server with a database of its own, started once.

    As Prefect's own `prefect_test_harness`, whose server takes three times as long to start.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import temporary_settings

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_HOME", str(prefect_home(tmp_path_factory.mktemp("server"))))
        server = EmbeddedServer()
        environment.undo()
        made_once.wait_for_server(server.url)
        environment.setenv("PREFECT_API_URL", f"{server.url}/api")
        refresh_global_settings_context()
        # The heartbeat thread makes every flow call a second longer.
        with temporary_settings({"flows.heartbeat_frequency": None}):
            yield
        APILogWorker.instance().drain()
        EventsWorker.drain_all()
        server.stop()
    refresh_global_settings_context()
