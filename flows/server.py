"""The Prefect server of a run from the command line: the configured one, or an embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from prefect.client.orchestration import get_client
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_UI_URL, temporary_settings

from longscribe.errors import ServerError

# Where `prefect server start` listens by default; it reads the embedded server's database.
_LOCAL_UI_URL = "http://127.0.0.1:4200"


@contextmanager
def reachable_server() -> Iterator[None]:
    """Within the block, this process and its workers talk to one Prefect server.

    Left to itself Prefect starts an embedded server in every process that finds none configured:
    one more for each worker, which outlives it. This one is stopped when the process exits, after
    the last lines of the log were delivered.

    Raises:
        ServerError: a server is configured and does not answer.
    """
    if PREFECT_API_URL.value():
        with get_client(sync_client=True) as client:
            failure = client.api_healthcheck()
        if failure is not None:
            raise ServerError(
                f"the Prefect server at {PREFECT_API_URL.value()} does not answer; start it, or "
                "unset PREFECT_API_URL (or its profile) to use an embedded one."
            )
        yield
        return
    server = SubprocessASGIServer()
    if not server.running:
        click.echo(
            "No Prefect server is configured: an embedded one keeps this run in "
            f"{PREFECT_HOME.value()}; `prefect server start` shows it"
        )
        server.start()
    with temporary_settings(
        {PREFECT_API_URL: server.api_url, PREFECT_UI_URL: PREFECT_UI_URL.value() or _LOCAL_UI_URL}
    ):
        yield
