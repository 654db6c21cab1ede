"""The scratch folder of a run, which is gone when the run is, however that ended."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from longscribe.errors import OutputError
from longscribe.machine import scratch_folder

_PREFIX: Final = "longscribe-"
_OWNER: Final = "owner"  # locked by the run; holds its name


@contextmanager
def scratch(run: str) -> Iterator[Path]:
    """A folder for the samples of one run, removed at its end.

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
            f"no scratch folder can be made in {parent}: {error.strerror}; "
            "set TMPDIR to a folder that can be written."
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        owner.close()


@contextmanager
def dead_runs() -> Iterator[list[str]]:
    """The names of runs that were killed; their scratch folders are removed after the block.

    A run is dead when nobody holds the lock in its folder: the kernel gives it up with the process.
    Folders of other users, and of runs that last, are left alone. If the block raises, the names
    are kept for the next run, the samples are not.
    """
    with _taken() as folders:
        names = {folder: (folder / _OWNER).read_text() for folder in folders}
        for folder in folders:
            for path in folder.iterdir():
                if path.name != _OWNER:
                    with suppress(OSError):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield [name for name in names.values() if name]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


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
