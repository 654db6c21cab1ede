"""The Prefect server of one command: started before Prefect itself is imported, stopped with it.

Server and command both need seconds to import Prefect. Side by side they need them once.
"""

import atexit
import os
import socket
import subprocess
import sys
from pathlib import Path

# Where a server's address can be set (https://docs.prefect.io/v3/concepts/settings-and-profiles):
# files of the current folder, and the profiles.
_LOCAL_FILES = (".env", "prefect.toml", "pyproject.toml")
_ADDRESS = "prefect_api_url"


class EmbeddedServer:
    """A server on a free port of this machine, stopped when this process exits."""

    def __init__(self) -> None:
        """Start it; it answers some seconds later."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "prefect", "server", "start"]
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C reaches the whole process group; the run still has its end to report.
            start_new_session=True,
        )
        atexit.register(self.stop)

    @property
    def running(self) -> bool:
        """Whether its process is still there."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it, if it has not ended yet."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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
    # In TOML tables the prefix is left out: [api] url = "..."
    return _ADDRESS in text or ("api" in text and "url" in text and "prefect" in f"{file} {text}")
