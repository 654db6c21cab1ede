"""The Prefect server of a run from the command line: the configured one, or an embedded one."""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import click
import httpx
from prefect.client.orchestration import get_client
from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_API_URL, PREFECT_HOME

from longscribe.errors import ServerError

_START_WITHIN_S = 120.0  # the first start also makes the database

_RESTART_AFTER_S = 1.0
_RESTARTS_AT_START = 3
_PR_SET_PDEATHSIG = 1


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
    server = _Server(port)
    atexit.register(server.stop)
    give_up_s = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < give_up_s and server.restarts < _RESTARTS_AT_START:
        try:
            if httpx.get(f"{url}/api/health", timeout=5.0).status_code == httpx.codes.OK:
                return url
        except httpx.TransportError:
            time.sleep(0.1)
    raise ServerError(
        "the embedded Prefect server did not start; `prefect server start` shows why, or set "
        "PREFECT_API_URL to a server that runs."
    )


class _Server:
    """A Prefect server process: started again when it dies, gone when this process is."""

    def __init__(self, port: int) -> None:
        self.restarts = 0
        self._command = [sys.executable, "-m", "prefect", "server", "start"]
        self._command += ["--host", "127.0.0.1", "--port", str(port)]
        self._stopping = threading.Event()
        self._started = threading.Event()
        # The thread that starts the process is the one whose end ends it (PR_SET_PDEATHSIG).
        threading.Thread(target=self._keep_running, daemon=True).start()
        self._started.wait()

    def stop(self) -> None:
        """End it; it has the last states and lines of the log to write."""
        self._stopping.set()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _keep_running(self) -> None:
        while not self._stopping.is_set():
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C reaches the whole process group; the run still has its end to report.
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
            self._started.set()
            self._process.wait()
            self.restarts += 1
            self._stopping.wait(_RESTART_AFTER_S)


def _die_with_parent() -> None:
    # In the server, before it starts: a SIGKILL of the command would leave it behind for ever.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
