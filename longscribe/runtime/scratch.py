"""The scratch folder of a run, which is gone when the run is, however that ended."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Final

from longscribe.errors import OutputError
from longscribe.runtime.machine import scratch_folder
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

_PREFIX: Final = "longscribe-"
_OWNER: Final = "owner"  # locked by the run; holds its name

# Of runs that have ended and whose names are still kept: their folders and locks.
_kept: ContextVar[list[tuple[Path, IO[str]]] | None] = ContextVar("kept", default=None)


@contextmanager
def scratch(run: str) -> Iterator[Path]:
    """A folder for the samples of one run, removed at its end; the name later in `keeping_names`.

    Args:
        run: its name, for whoever finds the folder after the run was killed.

    Raises:
        OutputError: it cannot be made.
    """
    parent = scratch_folder()
    try:
        # Renamed when its lock is held: until then nobody takes it for a dead run's.
        made = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
        owner = (made / _OWNER).open("w")
        fcntl.flock(owner, fcntl.LOCK_EX)
        owner.write(run)
        owner.flush()
        folder = made.rename(parent / made.name.removeprefix("."))
    except OSError as error:
        raise OutputError(
            translated(
                "no scratch folder can be made in {folder}: {reason}; "
                "set TMPDIR to a folder that can be written."
            ).format(folder=parent, reason=told(error))
        ) from None
    try:
        yield folder
    finally:
        kept = _kept.get()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
            owner.close()
        else:
            _empty(folder)
            kept.append((folder, owner))


@contextmanager
def keeping_names(unreported: tuple[type[BaseException], ...]) -> Iterator[None]:
    """Keep the names of the runs of this block until their end is known where runs are listed.

    Args:
        unreported: what is raised when it could not be reported; then they count as dead runs.
    """
    kept: list[tuple[Path, IO[str]]] = []
    token = _kept.set(kept)
    is_reported = True
    try:
        yield
    except unreported:
        is_reported = False
        raise
    finally:
        _kept.reset(token)
        for folder, owner in kept:
            if is_reported:
                shutil.rmtree(folder, ignore_errors=True)
            owner.close()


@contextmanager
def dead_runs() -> Iterator[list[str]]:
    """The names of runs that were killed, or whose end nobody knows of; removed after the block.

    A run is dead when nobody holds the lock in its folder: the kernel gives it up with the process.
    Folders of other users, and of runs that last, are left alone. If the block raises, the names
    are kept for the next run, the samples are not.
    """
    with _taken() as folders:
        names = {folder: (folder / _OWNER).read_text() for folder in folders}
        for folder in folders:
            _empty(folder)
        yield [name for name in names.values() if name]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> None:
    """Remove all but the name."""
    for path in folder.iterdir():
        if path.name != _OWNER:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _taken() -> Iterator[list[Path]]:
    """Dead runs' folders, locked, so that two runs do not tidy the same one."""
    locks = []
    try:
        folders = []
        for path in scratch_folder().glob(f"{_PREFIX}*/{_OWNER}"):
            with suppress(OSError):
                lock = path.open("r+")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    lock.close()
                    continue
                locks.append(lock)
                folders.append(path.parent)
        yield folders
    finally:
        for lock in locks:
            lock.close()
