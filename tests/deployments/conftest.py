from collections.abc import Callable, Iterator

import pytest

from tests.deployments.hostile import DOWNLOADS_FROM, LARGEST_DOWNLOAD
from tests.deployments.served import Receiver, Served

Note = Callable[[str, str], None]


@pytest.fixture(scope="session", autouse=True)
def server(prefect_server: None) -> None:
    """Automations live on a server."""


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Served]:
    served = Served(
        tmp_path_factory.mktemp("served"),
        receiver.url,
        LONGSCRIBE_PRIVATE_HOSTS=DOWNLOADS_FROM,
        LONGSCRIBE_LARGEST_DOWNLOAD=LARGEST_DOWNLOAD,
    )
    served.start()
    yield served
    served.stop()
    print(served.log.read_text())


@pytest.fixture(scope="session")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Beyond loopback, so with a password."""
    exposed = Served(tmp_path_factory.mktemp("exposed"), host="0.0.0.0")
    exposed.start()
    yield exposed
    exposed.stop()


@pytest.fixture(scope="module")
def note(request: pytest.FixtureRequest) -> Iterator[Note]:
    """Takes figures, and prints them at the end."""
    figures: list[str] = []
    yield lambda what, figure: figures.append(f"{what}: {figure}")
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("", *figures, sep="\n")
