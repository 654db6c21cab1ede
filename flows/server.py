"""The Prefect server of a run from the command line: the configured one, or an embedded one."""

import atexit
import os
import socket
import subprocess
import sys
import time

import click
import httpx
from prefect.client.orchestration import get_client
from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_API_URL, PREFECT_HOME

from longscribe.errors import ServerError

_START_WITHIN_S = 120.0  # the first start also makes the database


def connect() -> None:
    """Make this process, its threads and its workers talk to one Prefect server.

    Left to itself Prefect starts a temporary server in every process that finds none configured:
    one more for each worker, which outlives it, and none of them shows the UI. The one started here
    is stopped when this process exits, after the last lines of the log were delivered.

    Raises:
        ServerError: the server does not answer.
    """
    if PREFECT_API_URL.value():
        with get_client(sync_client=True) as client:
            failure = client.api_healthcheck()
        if failure is not None:
            raise ServerError(
                f"the Prefect server at {PREFECT_API_URL.value()} does not answer; start it, or "
                "unset PREFECT_API_URL (or its profile) to use an embedded one."
            )
        return
    url = _start_embedded()
    click.echo(
        f"No Prefect server is configured: an embedded one runs at {url} until this command ends; "
        f"`prefect server start` shows its runs later ({PREFECT_HOME.value()})"
    )
    # Not temporary_settings: those hold in one thread, and the pool's threads would start a server.
    os.environ["PREFECT_API_URL"] = f"{url}/api"
    refresh_global_settings_context()


def _start_embedded() -> str:
    """Start a server of this process and wait until it answers; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "prefect", "server", "start"]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C reaches the whole process group; the run still has its end to report.
        start_new_session=True,
    )
    atexit.register(_stop, server)
    give_up_s = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < give_up_s and server.poll() is None:
        try:
            if httpx.get(f"{url}/api/health", timeout=5.0).status_code == httpx.codes.OK:
                return url
        except httpx.TransportError:
            time.sleep(0.1)
    raise ServerError(
        "the embedded Prefect server did not start; `prefect server start` shows why, or set "
        "PREFECT_API_URL to a server that runs."
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
