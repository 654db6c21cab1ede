"""The Prefect server of a run from the command line: the configured one, or an embedded one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import fastapi.encoders  # noqa: F401  # for what is forked off; Prefect's flows import it late
import httpx
import prefect.main  # noqa: F401  # so that what is forked off has all that it shares
from prefect.client.orchestration import get_client
from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from longscribe.errors import ServerError
from longscribe.flows.embedded_server import EmbeddedServer
from longscribe.flows.output import say
from longscribe.wording.catalog import translated

_START_WITHIN_S = 120.0  # the first start also makes the database
_ASK_EVERY_S = 0.02


def started_server() -> EmbeddedServer | None:
    """An embedded server on its way up, where none is configured; what follows talks to that.

    It is forked off this process, which must not have other threads yet.
    """
    if PREFECT_API_URL.value():
        return None
    server = EmbeddedServer("fork")
    # Not temporary_settings: those hold in one thread, and the pool's threads would start a server.
    os.environ["PREFECT_API_URL"] = f"{server.url}/api"
    refresh_global_settings_context()
    return server


@contextmanager
def connected(server: EmbeddedServer | None) -> Iterator[None]:
    """Make this process, its threads and its workers talk to one Prefect server.

    Left to itself Prefect starts a temporary server in every process that finds none configured:
    one more for each worker, which outlives it, and none of them shows the UI. The embedded one is
    stopped when this process exits, after the last lines of the log were delivered.

    Args:
        server: from `started_server`; None for the one that is configured.

    Raises:
        ServerError: the server does not answer.
    """
    if server is None:
        with get_client(sync_client=True) as client:
            failure = client.api_healthcheck()
        if failure is not None:
            raise ServerError(
                translated(
                    "the Prefect server at {url} does not answer; start it, or unset "
                    "PREFECT_API_URL (or its profile) to use an embedded one."
                ).format(url=PREFECT_API_URL.value())
            )
        yield
        return
    _wait_until_it_answers(server)
    say(
        translated(
            "No Prefect server is configured: an embedded one runs at {url} for this command"
        ).format(url=server.url)
    )
    say(
        translated("Later, `prefect server start` shows its runs, from {home}").format(
            home=PREFECT_HOME.value()
        )
    )
    # Heartbeats tell a server that outlives its runs of one that died. The thread that sends them
    # sleeps for a second, and every run would wait for it at its end (`_send_heartbeats` in
    # prefect/flow_engine.py). And nobody need ask whether it is of this version.
    with temporary_settings(
        {"flows.heartbeat_frequency": None, "client.server_version_check_enabled": False}
    ):
        yield


def _wait_until_it_answers(server: EmbeddedServer) -> None:
    give_up_s = time.monotonic() + _START_WITHIN_S
    # One client for all tries: each new one reads the machine's certificates, some 20 ms of a core
    # that the server needs to start.
    with httpx.Client(timeout=5.0) as client:
        while time.monotonic() < give_up_s and server.may_start:
            with suppress(httpx.TransportError):
                if client.get(f"{server.url}/api/health").status_code == httpx.codes.OK:
                    return
            time.sleep(_ASK_EVERY_S)
    raise ServerError(
        translated(
            "the embedded Prefect server did not start; `prefect server start` shows why, or set "
            "PREFECT_API_URL to a server that runs."
        )
    )
