"""The process pool of one run: workers that stay within their threads and never outlive it."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import util
from typing import Any

from prefect.events.worker import EventsWorker
from prefect.task_runners import ProcessPoolTaskRunner

from longscribe.machine import Sizing
from longscribe.options import DecodingOptions
from longscribe.weights import ModelSpec

CHUNK_LOGGER = "chunk"  # the name under a task run's logger that marks a chunk's own lines

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@contextmanager
def worker_pool(
    sizing: Sizing, model: tuple[ModelSpec, DecodingOptions] | None = None
) -> Iterator[ProcessPoolTaskRunner]:
    """A pool of `sizing.workers` processes; all of them are gone when the block is left.

    Args:
        sizing: of the run.
        model: what the workers get ready while the recording is still being prepared.
    """
    runner = ProcessPoolTaskRunner(
        max_workers=sizing.workers,
        subprocess_message_processor_factories=[_WorkerLines],
        initializer=start_worker,
        initargs=(sizing.threads_per_worker, model),
    )
    with _capped_children(sizing.threads_per_worker), runner as pool:
        # concurrent.futures starts its processes with the first call: now, not with the first chunk
        assert pool._executor is not None
        pool._executor.submit(os.getpid)
        try:
            yield pool
        except BaseException:
            # Leaving the runner waits for the chunks under way: minutes, when the run was stopped.
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def start_worker(threads: int, model: tuple[ModelSpec, DecodingOptions] | None = None) -> None:
    """Set up a worker: cap its threads, tie its life to the flow's, get the model ready.

    Args:
        threads: for torch and for every BLAS or OpenMP pool in the process.
        model: what to get ready.
    """
    # A SIGINT that reaches a child while it returns its result hangs the parent's executor for
    # good: its manager thread dies of the KeyboardInterrupt (concurrent.futures, prefect 3.8).
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _leave_at_once()

    import torch
    from threadpoolctl import threadpool_limits

    from longscribe.mapped_weights import cache_folder
    from longscribe.processor import set_up_numba

    set_up_numba(cache_folder() / "kernels")

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    threadpool_limits(threads)
    if model is not None:
        from longscribe.decoding import prepare

        # Whatever is wrong is met again by the first chunk and said in its own log; an exception
        # here would only break the pool.
        with suppress(Exception):
            prepare(*model)


def _leave_at_once() -> None:
    """Let the worker exit without Python's and torch's clean-up, which takes it two seconds."""
    # In this order: the last states and logs into the queue; multiprocessing's own finalizers,
    # which empty the queue into the pipe (priority -5); the end.
    util.Finalize(None, EventsWorker.drain_all, kwargs={"timeout": 5.0}, exitpriority=1000)
    util.Finalize(None, os._exit, args=(0,), exitpriority=-1000)


def _die_with_parent() -> None:
    # Otherwise a SIGKILL of the flow leaves workers behind, idle with their model, for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _WorkerLines:
    """Prints the lines that workers send to the API, as they pass through the parent.

    Two processes on one terminal would tear each other's lines, so only the parent prints. The
    engine's own lines are left out; a chunk's are told by their logger's name.
    """

    def __call__(self, message_type: str, message_payload: Any) -> tuple[str, Any] | None:
        if message_type == "log":
            level, name = message_payload["level"], message_payload["name"]
            if level >= logging.WARNING or name.endswith(f".{CHUNK_LOGGER}"):
                logging.getLogger("longscribe.workers").log(level, "%s", message_payload["message"])
        return message_type, message_payload


@contextmanager
def _capped_children(threads: int) -> Iterator[None]:
    """Children read these when they import numpy, before any initializer can act."""
    wanted = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    # OpenMP's threads otherwise spin while they wait: beside another busy process on the machine
    # two threads took twenty times as long as one.
    wanted["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "passive")
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
