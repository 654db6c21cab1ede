"""The Prefect server of one command: gone with it, back when it dies.

Server and command both need Prefect, whose import takes over a second. Forked off the command when
that has imported it, and nothing else yet, the server has it for nothing.
"""

import atexit
import multiprocessing
import os
import socket
import threading
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Literal

from longscribe.flows.prefect_home import prefect_home
from longscribe.flows.server_process import serve

# What a server does that lasts, and nobody wants of one that is gone with its command. They take a
# second of a core when it starts; another three take its integrations, as many as are installed
# (prefect-kubernetes, prefect-dask), which it imports to write their blocks into its database. The
# next `prefect server start` on that database does it all. What the user has set himself wins.
_SERVICES = (
    *("SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS", "REPOSSESSOR"),
    *("CANCELLATION_CLEANUP", "CLEANUP_RECONCILER"),
)
_LEFT_OUT = {
    **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _SERVICES},
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    # To see whether blocks have changed, it would import all integrations too.
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
}

_RESTART_AFTER_S = 1.0
_RESTARTS_AT_START = 3
_END_WITHIN_S = 10.0


class EmbeddedServer:
    """A server on a free port of this machine, started again when it dies, until this process ends.

    Attributes:
        url: of its UI; its API is below `/api`.
    """

    def __init__(self, method: Literal["fork", "spawn"] = "spawn") -> None:
        """Start it; it answers some seconds later. It ends with the thread that calls this.

        Args:
            method: of multiprocessing. "fork" only while this process has no other threads, whose
                locks the server would find taken for ever.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        # Its UI otherwise looks for the API at port 4200, and finds no run.
        ui = {"PREFECT_SERVER_UI_API_URL": f"{self.url}/api"}
        # SQLite's own temporary files would be beside the run's samples, on a disk that may be
        # full: then no line of the log was stored, and the command waited for that for ever.
        sqlite = {"SQLITE_TMPDIR": str(prefect_home())}
        self._environment = {**_LEFT_OUT, **sqlite, **os.environ, **ui}
        self._starts = 0
        self._stopping = threading.Event()
        self._replacing = threading.Lock()
        self._process = self._started(method)
        atexit.register(self.stop)
        self._keeper = threading.Thread(target=self._keep_running, daemon=True)
        self._keeper.start()

    @property
    def may_start(self) -> bool:
        """Whether it still makes sense to wait for it: it died less than a few times."""
        return self._starts <= _RESTARTS_AT_START

    def stop(self) -> None:
        """End it; it has the last states and lines of the log to write."""
        with self._replacing:
            self._stopping.set()
        self._process.terminate()
        # Only its keeper waits for the process: of two threads that do, one is told nothing.
        self._keeper.join(_END_WITHIN_S)
        self._process.kill()
        self._keeper.join()

    def _started(self, method: Literal["fork", "spawn"]) -> BaseProcess:
        self._starts += 1
        given = ("127.0.0.1", self._port, self._environment, os.getpid())
        context: ForkContext | SpawnContext = (
            multiprocessing.get_context("fork")
            if method == "fork"
            else multiprocessing.get_context("spawn")
        )
        process = context.Process(target=serve, args=given)
        process.start()
        return process

    def _keep_running(self) -> None:
        while True:
            self._process.join()
            self._stopping.wait(_RESTART_AFTER_S)
            with self._replacing:
                if self._stopping.is_set():
                    return
                self._process = self._started("spawn")  # by now there are threads
