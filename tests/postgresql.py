"""A PostgreSQL of the tests' own, where it is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.ports import free_port

_PROGRAMS: Final = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), Path("/none"))
IS_INSTALLED: Final = (_PROGRAMS / "postgres").exists()
_USER: Final = "tests"


class PostgreSql:
    """A server on loopback that trusts everybody, in a folder of its own.

    Attributes:
        command: that starts it in the foreground.
    """

    def __init__(self) -> None:
        self._port = free_port()
        # Not below pytest's own folder, which nobody else may enter.
        data = self._data = Path(tempfile.mkdtemp(prefix="longscribe-postgresql-", dir="/tmp"))
        if os.getuid() == 0:  # which PostgreSQL refuses to be
            owner = pwd.getpwnam("postgres")
            os.chown(data, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(data), "-U", _USER, "-A", "trust", "-E", "UTF8")
        places = ("-D", str(data), "-k", str(data), "-h", "127.0.0.1", "-p", str(self._port))
        self.command = _by_its_user("postgres", *places, "-c", "fsync=off")

    def answers(self) -> bool:
        ready = [str(_PROGRAMS / "pg_isready"), *self._there()]
        return subprocess.run(ready, capture_output=True, check=False).returncode == 0

    def create(self, database: str) -> str:
        """Make an empty database; its address, without a scheme."""
        self._run("createdb", *self._there(), "-U", _USER, database)
        return self.address(database)

    def address(self, database: str) -> str:
        return f"{_USER}@127.0.0.1:{self._port}/{database}"

    def remove(self) -> None:
        """Remove what it wrote, when it has ended."""
        shutil.rmtree(self._data, ignore_errors=True)

    def _there(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self._port))

    def _run(self, program: str, *arguments: str) -> None:
        command = _by_its_user(program, *arguments)
        subprocess.run(command, check=True, capture_output=True, cwd="/")


def _by_its_user(program: str, *arguments: str) -> list[str]:
    command = [str(_PROGRAMS / program), *arguments]
    if os.getuid() == 0:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    return command
