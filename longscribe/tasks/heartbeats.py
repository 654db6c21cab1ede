"""Which worker is at which chunk: in small files, as a killed worker would keep a queue's lock."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from longscribe.monitoring.run_record import AtWork


@contextmanager
def at_work(folder: Path, chunk_index: int) -> Iterator[None]:
    """In a worker: say that it works on a chunk for as long as the block lasts."""
    mark = folder / str(os.getpid())
    with suppress(OSError):  # a full disk: the run then knows less about its workers, and goes on
        folder.mkdir(exist_ok=True)
        mark.write_text(f"{chunk_index} {time.monotonic()}")
    try:
        yield
    finally:
        with suppress(OSError):
            mark.unlink(missing_ok=True)


def workers_at_work(folder: Path) -> list[AtWork]:
    """In the parent: what the workers said, also those that died meanwhile."""
    found = []
    for mark in folder.glob("*"):
        with suppress(OSError, ValueError):  # just removed, or just being written
            index, since_s = mark.read_text().split()
            found.append(AtWork(int(mark.name), int(index), float(since_s)))
    return found


def forget_workers(folder: Path) -> None:
    """In the parent: the workers are gone, and so is what they said."""
    for mark in folder.glob("*"):
        with suppress(OSError):
            mark.unlink(missing_ok=True)
