"""A process that has imported what workers need, and forks them: they start at once.

Its imports take a worker 2.8 s, and every further one as long again. Forked from a process that did
them once, a worker is there within milliseconds, also in place of one that died, and shares the
memory of what was imported. (`forkserver` of multiprocessing, not `fork`: the flow's own process
has threads, whose locks a forked child would find taken for ever.)
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from typing import Final

import psutil

# What multiprocessing takes for a worker's exit code when it cannot know (popen_forkserver.py).
FORK_SERVER_DIED: Final = 255

_STARTED_BY: Final = "LONGSCRIBE_FORK_SERVER_OF"

# Read by numpy, torch and numba when they are imported.
_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def start_fork_server(preload: Sequence[str]) -> None:
    """Start it, unless it runs; it is ready some seconds later, and until then workers wait.

    It ends with the thread that calls this.

    Args:
        preload: modules that it imports.
    """
    forkserver.set_forkserver_preload(list(preload))
    # Ctrl-C reaches the whole process group. Blocked here, it stays so in the server and in the
    # workers: one that it reaches while it returns its result hangs the parent's executor for good,
    # whose manager thread dies of the KeyboardInterrupt (concurrent.futures, prefect 3.8).
    resource_tracker.ensure_running()  # unblocks it, where it is not running yet
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # No threads before a fork, and nothing imported from the current folder.
        safe = {"PYTHONSAFEPATH": "1", _STARTED_BY: str(os.getpid())}
        with _environment({**thread_variables(1), **safe}):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fork_server_pid() -> int | None:
    """Of the one that this process started last."""
    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # private
    return pid


def kill_fork_server(only_stopped: bool = False) -> None:
    """End it, whatever it is at; the next worker starts another.

    Args:
        only_stopped: only if a signal stopped it (SIGSTOP), and somebody waits for it for ever.
    """
    pid = fork_server_pid()
    if pid is None:
        return
    with suppress(psutil.Error):
        server = psutil.Process(pid)
        if not only_stopped or server.status() == psutil.STATUS_STOPPED:
            server.kill()


def process_that_started_it() -> int:
    """In the fork server: its parent, which may be gone. One that replaces another knows none."""
    return int(os.environ.get(_STARTED_BY) or os.getppid())


def thread_variables(threads: int) -> dict[str, str]:
    """What the environment says to libraries that are not imported yet."""
    variables = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    # OpenMP's threads otherwise spin while they wait: beside another busy process on the machine
    # two threads took twenty times as long as one.
    variables["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "passive")
    return variables


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """What a process inherits that is started in the block.

    Not through os.environ: another thread may be walking through it, as Prefect's settings do.
    """
    for name, value in wanted.items():
        os.putenv(name, value)
    try:
        yield
    finally:
        for name in wanted:
            if name in os.environ:
                os.putenv(name, os.environ[name])
            else:
                os.unsetenv(name)
