"""Files that are there whole or not at all; temporary ones that a killed process left go."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


def temporary_path(target: Path) -> Path:
    """Where this process writes a file before it takes its place."""
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def open_temporary(target: Path) -> IO[bytes]:
    """A temporary file, to be put in place with `temporary_path(target).replace(target)`.

    It is locked for as long as it is open, which tells it from one whose process was killed.
    """
    file = temporary_path(target).open("wb")
    _lock(file)
    return file


def replace_file(target: Path, content: bytes) -> None:
    """Write a file that readers find either as it was or as it shall be.

    Raises:
        OSError: it cannot be written; the old one is still there.
    """
    path = temporary_path(target)
    try:
        with path.open("wb") as file:
            _lock(file)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            path.replace(target)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def remove_abandoned_files(folder: Path) -> int:
    """Remove the temporary files in a folder whose processes are gone; how many there were."""
    removed = 0
    for path in folder.glob(".*.tmp"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: still being written
            path.unlink()
            removed += 1
    return removed


def _lock(file: IO[Any]) -> None:
    # Some network file systems have no locks: then one in use cannot be told, as before.
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
