"""What happens in a worker process before its first chunk."""

import fcntl
import multiprocessing
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import util
from typing import Final, NoReturn

from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker

from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.tasks.fork_server import thread_variables

GPU_LOST: Final = 75  # exit code of a worker whose GPU failed (EX_TEMPFAIL of sysexits.h)

# Priorities of what is done when a worker ends.
_BEFORE_THE_END, _THE_END = -999, -1000


def start_worker(
    threads: int,
    environment: Mapping[str, str],
    model: tuple[ModelSpec, DecodingOptions] | None = None,
) -> None:
    """Set up a worker: tie its life to the flow's, set its threads, get the model ready.

    Args:
        threads: for torch and for every BLAS or OpenMP pool in the process.
        environment: of the flow's process; the fork server's is older.
        model: what to get ready.
    """
    _die_with_parent()
    _leave_at_once()
    _take_over(environment)
    # With any method called fork..., numba makes a semaphore of the system when its threads start
    # (numba/np/ufunc/parallel.py), and a killed worker leaves it behind, with a warning on stderr.
    multiprocessing.set_start_method("spawn", force=True)

    import torch
    from threadpoolctl import threadpool_limits

    os.environ.update(thread_variables(threads))
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    threadpool_limits(threads)
    _set_numba_threads(threads)
    if model is not None:
        from longscribe.decoding.chunk import prepare

        # Whatever is wrong is met again by the first chunk and said in its own log; an exception
        # here would only break the pool.
        with suppress(Exception):
            prepare(*model)


def _take_over(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    refresh_global_settings_context()


def _set_numba_threads(threads: int) -> None:
    """Let numba start as many; it took the fork server's number when it was imported there.

    `numba.set_num_threads` only leaves threads out that were started, which would be all the
    machine's in every worker.
    """
    from numba.core import config
    from numba.np.ufunc import parallel

    config.NUMBA_NUM_THREADS = threads  # type: ignore[attr-defined]
    parallel.NUM_THREADS = threads


def _leave_at_once() -> None:
    """Let the worker exit without Python's and torch's clean-up, which takes it two seconds."""
    # In this order: the last states and logs into the queue; multiprocessing's own finalizers,
    # which empty the queue into the pipe (priority -5); the end.
    util.Finalize(None, EventsWorker.drain_all, kwargs={"timeout": 5.0}, exitpriority=1000)
    util.Finalize(None, os._exit, args=(0,), exitpriority=_THE_END)


def leave_pool(exit_code: int) -> NoReturn:
    """End this worker in the midst of its chunk, after what it said has reached the run."""
    util._run_finalizers(_BEFORE_THE_END)  # type: ignore[attr-defined]  # not in typeshed
    os._exit(exit_code)


def _die_with_parent() -> None:
    """Have the kernel kill this worker when the flow's process is gone.

    Otherwise a SIGKILL of the flow leaves workers behind, idle with their model, for ever. A thread
    that waits for the parent would not run in a worker that is stopped, or deep in native code that
    holds Python's lock. The pipe that `multiprocessing` keeps to the parent sends a signal when its
    other end closes (fcntl(2), F_SETSIG); PR_SET_PDEATHSIG would do so when the fork server ends,
    which is the worker's parent to the kernel.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent.sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    if not parent.is_alive():
        os._exit(1)
