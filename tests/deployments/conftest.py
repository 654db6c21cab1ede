from collections.abc import Iterator

import pytest

from tests.deployments.served import Receiver, Served


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
    served = Served(tmp_path_factory.mktemp("served"), receiver.url)
    served.start()
    yield served
    served.stop()
    print(served.log.read_text())
