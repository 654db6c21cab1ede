"""How workers ended, for people."""

import signal
from typing import Final

from longscribe.runtime.fork_server import FORK_SERVER_DIED
from longscribe.wording.catalog import translated

GPU_LOST: Final = 75  # exit code of a worker whose GPU failed (EX_TEMPFAIL of sysexits.h)


WORKER_LEFT: Final = 69  # of a Dask worker that is no more there, however it ended (EX_UNAVAILABLE)


def end_shown(exit_code: int) -> str:
    """How a worker ended, by its exit code: `killed by SIGKILL`."""
    if exit_code == FORK_SERVER_DIED:
        return translated("the process that workers are forked from died")
    if exit_code == GPU_LOST:
        return translated("the GPU failed")
    if exit_code == WORKER_LEFT:
        return translated("the Dask worker is gone")
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return translated("killed by {signal}").format(signal=name)
    return translated("exit code {code}").format(code=exit_code)


def is_memory(exit_code: int) -> bool:
    """Whether it may have been for its memory; the kernel may take the fork server instead."""
    return exit_code in (-signal.SIGKILL, FORK_SERVER_DIED)
