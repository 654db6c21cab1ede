"""The Prefect server of one command: started before Prefect itself is imported, gone with it.

Server and command both need seconds to import Prefect. Side by side they need them once.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

from longscribe.runtime.lifetime import end_with_parent

_RESTART_AFTER_S = 1.0
_RESTARTS_AT_START = 3

# Where a server's address can be set (https://docs.prefect.io/v3/concepts/settings-and-profiles):
# files of the current folder, and the profiles.
_LOCAL_FILES = (".env", "prefect.toml", "pyproject.toml")
_ADDRESS = "prefect_api_url"


class EmbeddedServer:
    """A server on a free port of this machine, started again when it dies, until this process ends.

    Attributes:
        url: of its UI; its API is below `/api`.
    """

    def __init__(self) -> None:
        """Start it; it answers some seconds later."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        module = "longscribe.flows.server_process"
        self._command = [sys.executable, "-P", "-m", module, "127.0.0.1", str(port)]
        # Its UI otherwise looks for the API at port 4200, and finds no run.
        self._environment = {**os.environ, "PREFECT_SERVER_UI_API_URL": f"{self.url}/api"}
        self._starts = 0
        self._stopping = threading.Event()
        self._started = threading.Event()
        # The thread that starts the process is the one whose end ends it (PR_SET_PDEATHSIG).
        threading.Thread(target=self._keep_running, daemon=True).start()
        self._started.wait()
        atexit.register(self.stop)

    @property
    def may_start(self) -> bool:
        """Whether it still makes sense to wait for it: it died less than a few times."""
        return self._starts <= _RESTARTS_AT_START

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
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C reaches the whole process group; the run still has its end to report.
                start_new_session=True,
                # A SIGKILL of the command would leave it behind for ever.
                preexec_fn=partial(end_with_parent, os.getpid()),
            )
            self._starts += 1
            self._started.set()
            self._process.wait()
            self._stopping.wait(_RESTART_AFTER_S)


def surely_needed() -> bool:
    """Whether nothing that Prefect reads names a server; told without importing Prefect.

    In doubt it says no: then Prefect is asked, and the server starts later.
    """
    if any(name.startswith("PREFECT_PROFILE") or name == "PREFECT_API_URL" for name in os.environ):
        return False
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser()
    files = (home / "profiles.toml", *map(Path, _LOCAL_FILES))
    return not any(_may_name_a_server(file) for file in files)


def _may_name_a_server(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8", errors="replace").lower()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    if file.name == "pyproject.toml":  # says much of APIs and URLs, and seldom to Prefect
        _, table, rest = text.partition("[tool.prefect")
        text = table + rest
    # In TOML tables the prefix is left out: [api] url = "..."
    return _ADDRESS in text or ("api" in text and "url" in text and "prefect" in f"{file} {text}")
