"""Which of a run's workers this process is: a GPU each, in turn."""

import os
from typing import Final

_VARIABLE: Final = "LONGSCRIBE_WORKER_SLOT"


def set_worker_slot(slot: int) -> None:
    """In a worker: its number among those there are, from 0; one that replaces another has its."""
    os.environ[_VARIABLE] = str(slot)


def worker_slot() -> int:
    """The number of this worker; 0 outside of one."""
    return int(os.environ.get(_VARIABLE, "0"))
