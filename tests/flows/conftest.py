"""A Prefect server for the flow tests, started once."""

from collections.abc import Iterator

import pytest
from prefect.settings import temporary_settings
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    with (
        prefect_test_harness(server_startup_timeout=120),
        # The heartbeat thread makes every flow call a second longer.
        temporary_settings({"flows.heartbeat_frequency": None}),
    ):
        yield
