"""What takes long to make and is the same for all: compiled kernels, Prefect's empty database.

Left to the first that need them, every process of the tests would make its own at the same time.

`python -m tests.made_once kernels|database FOLDER` makes one of them.
"""

import fcntl
import importlib.metadata
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from longscribe.cache.kernels import compiled_folder
from tests.eventually import eventually

_PROJECT = Path(__file__).resolve().parents[1]
_START_WITHIN_S = 240.0


def is_made(what: str, folder: Path) -> bool:
    """Whether it is there, from an earlier run of the tests too."""
    if what == "kernels":
        return any(compiled_folder(folder).rglob("*.nbc"))
    return _database(folder).exists()


def start_making(what: str, folder: Path) -> subprocess.Popen[bytes]:
    """A process that makes it; until it has ended, `made` waits."""
    with _lock_file(what, folder).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # It has the lock as well, and the last to close it lets go.
        return subprocess.Popen(
            [sys.executable, "-m", __name__, what, str(folder)],
            cwd=_PROJECT,
            env={**os.environ, "PYTHONPATH": str(_PROJECT)},
            pass_fds=[lock.fileno()],
        )


def until_made(what: str, folder: Path) -> None:
    """Wait for the process that makes it, if there is one."""
    with _lock_file(what, folder).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def prefect_home(home: Path, folder: Path) -> Path:
    """A new folder for a Prefect server, with a database of its own."""
    until_made("database", folder)
    if not is_made("database", folder):
        start_making("database", folder).wait()
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_database(folder), home / "prefect.db")
    return home


def wait_for_server(url: str) -> None:
    """Until a Prefect server answers."""
    import httpx

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return client.get(f"{url}/api/health").is_success
        return False

    with httpx.Client(timeout=30.0) as client:  # making one takes as long as a server's answer
        assert eventually(answers, bool, within_s=_START_WITHIN_S)


def _make_kernels() -> None:
    """As a worker does before its first chunk."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LONGSCRIBE_CACHE"] = folder
        from longscribe.decoding.chunk import prepare
        from longscribe.models.weights import resolve_model
        from longscribe.options import DecodingOptions

        prepare(resolve_model("demo"), DecodingOptions())


def _make_database(folder: Path) -> None:
    """As a server leaves it that was started for the first time, which takes it twice as long."""
    from longscribe.flows.embedded_server import EmbeddedServer

    with tempfile.TemporaryDirectory() as home:
        os.environ["PREFECT_HOME"] = home
        server = EmbeddedServer()
        try:
            wait_for_server(server.url)
        finally:
            server.stop()
        with closing(sqlite3.connect(Path(home) / "prefect.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it into this one file
        draft = _database(folder).with_suffix(".part")
        shutil.copy(Path(home) / "prefect.db", draft)
        draft.rename(_database(folder))


def _database(folder: Path) -> Path:
    return folder / f"prefect-{importlib.metadata.version('prefect')}.db"


def _lock_file(what: str, folder: Path) -> Path:
    return folder / f"{what}.lock"


if __name__ == "__main__":
    if sys.argv[1] == "kernels":
        _make_kernels()
    else:
        _make_database(Path(sys.argv[2]))
