"""What happens in a worker process before its first chunk."""

import multiprocessing
import os
from contextlib import suppress
from typing import Any

from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.runtime.fork_server import thread_variables
from longscribe.runtime.worker_progress import advance


def start_worker(threads: int, model: tuple[ModelSpec, DecodingOptions] | None = None) -> None:
    """Set a worker's threads and get the model ready.

    Args:
        threads: for torch and for every BLAS or OpenMP pool in the process.
        model: what to get ready.
    """
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
    _count_compiling()
    if model is not None:
        from longscribe.decoding.chunk import prepare

        # Whatever is wrong is met again by the first chunk and said in its own log; an exception
        # here would only end the worker.
        with suppress(Exception):
            prepare(*model)


def _count_compiling() -> None:
    """Let each pass of numba's compiler count as progress: all kernels take it a minute or two."""
    from numba.core import event

    class Passes(event.Listener):
        def on_start(self, event: Any) -> None:
            advance()

        def on_end(self, event: Any) -> None:
            advance()

    event.register("numba:run_pass", Passes())


def _set_numba_threads(threads: int) -> None:
    """Let numba start as many; it took the fork server's number when it was imported there.

    `numba.set_num_threads` only leaves threads out that were started, which would be all the
    machine's in every worker.
    """
    from numba.core import config
    from numba.np.ufunc import parallel

    config.NUMBA_NUM_THREADS = threads  # type: ignore[attr-defined]  # made at run time
    parallel.NUM_THREADS = threads
