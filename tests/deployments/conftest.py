import pytest


@pytest.fixture(scope="session", autouse=True)
def server(prefect_server: None) -> None:
    """Automations live on a server."""
