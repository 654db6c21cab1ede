"""A PostgreSQL of its own for a Prefect server that is tried out: Debian's, in a folder of /tmp."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

_PROGRAMS = "/usr/lib/postgresql/*/bin"  # Debian keeps all but psql out of PATH
_DOWN_S = 5.0


def missing() -> str:
    """What this machine lacks for it, or nothing."""
    return "" if _programs() is not None else "needs PostgreSQL (`apt-get install postgresql`)"


class Database:
    """A PostgreSQL server that may be restarted; a context manager.

    Args:
        kept: folder of the data, which stays for the next one there; by default it goes.

    Attributes:
        url: for PREFECT_SERVER_DATABASE_CONNECTION_URL.
    """

    def __init__(self, kept: Path | None = None) -> None:
        programs = _programs()
        if programs is None:
            raise RuntimeError(missing())
        self._pg_ctl = str(programs / "pg_ctl")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self._data = (kept or self._folder) / "data"
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
        # PostgreSQL refuses to run as root.
        self._user = _unprivileged() if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
            if kept is not None:
                shutil.chown(kept, self._user)
        self._options = f"-p {port} -h 127.0.0.1 -k {self._folder}"
        self.url = f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"

    def __enter__(self) -> "Database":
        if not self._data.exists():
            self._run("initdb", "-o", "--auth=trust --username=prefect --encoding=UTF8")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run("stop", "-m", "fast")
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._run("start", "-w", "-l", str(self._folder / "log"), "-o", self._options)

    @property
    def pid(self) -> int:
        """Of the process whose children the others are."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def restart(self) -> None:
        """Stop it, as an upgrade does, breaking off all connections, and start it again."""
        self._run("stop", "-m", "fast")
        time.sleep(_DOWN_S)
        self.start()

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [self._pg_ctl, "-D", str(self._data), *arguments],
            check=True,
            user=self._user,
            group=self._user and pwd.getpwnam(self._user).pw_gid,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


def _programs() -> Path | None:
    found = shutil.which("pg_ctl")
    folders = [Path(found).parent] if found else sorted(Path("/").glob(_PROGRAMS[1:]))
    return folders[-1] if folders else None


def _unprivileged() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
