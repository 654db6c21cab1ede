"""What happens inside a worker process, around the tasks that it is given."""

import fcntl
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from ctypes import c_uint64
from multiprocessing import util
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple, NoReturn

from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker

from longscribe.runtime.worker_progress import count_in
from longscribe.runtime.worker_slot import set_worker_slot
from longscribe.task_runner.prefect_parts import begin_prefect

_THE_END: Final = -1000  # priority of what is done last when a worker ends
_SAID_WITHIN_S: Final = 5.0

SAID_ALL: Final = "said all"  # not among Prefect's messages, which are tuples

_halvings = 0  # of this worker's task
_messages: "_Messages | None" = None  # of this worker
_number: int | None = None  # of this worker, where its pid says nothing to the run's machine


class Outcome(NamedTuple):
    """What a task's call gave: its result as Prefect pickled it, or why there is none."""

    result: bytes = b""
    error: str = ""


class _Messages:
    """The end of a pipe of this worker's own, for Prefect's events and logs.

    A queue that workers share has a lock, which one that is killed while it holds it never gives
    back: no line of any worker would come through again.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def put(self, message: Any) -> None:
        """Send one; the run's process may be gone."""
        with self._lock, suppress(OSError):
            self._pipe.send(message)


def begin(
    pipe: Connection,
    environment: Mapping[str, str],
    slot: int,
    count: c_uint64,
    initializer: Callable[..., None] | None,
    initargs: tuple[Any, ...],
) -> None:
    """Set up a worker: tie its life to the flow's, connect Prefect's messages.

    Args:
        pipe: to the flow's process.
        environment: of that process; the fork server's is older.
        slot: its number among the workers there are.
        count: of what it finishes, shared with the flow's process.
        initializer: the user's, called with `initargs`.
        initargs: its arguments.
    """
    _die_with_parent()
    _leave_at_once()
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    set_worker_slot(slot)
    count_in(count)
    refresh_global_settings_context()
    global _messages
    _messages = _Messages(pipe)
    begin_prefect(_messages, initializer, initargs)


def perform(call: Callable[[], bytes], task_halvings: int) -> Outcome:
    """Run a task's call, and come back whatever it does.

    The executor's thread in the flow's process takes an Exception back from a child and ends at
    any other (concurrent.futures.process), such as the SystemExit that Prefect makes of an error
    outside a task's body.
    """
    global _halvings
    _halvings = task_halvings
    try:
        return Outcome(result=call())
    except BaseException as error:
        return Outcome(error=f"{type(error).__name__}: {error}")


def say_all() -> None:
    """Send what is still to be said of the tasks so far, and then that this is all."""
    EventsWorker.drain_all(timeout=_SAID_WITHIN_S, at_exit=False)
    if _messages is not None:
        _messages.put(SAID_ALL)


def halvings() -> int:
    """In a task: how often memory ran out with one worker left; halve your batches so often."""
    return _halvings


def worker_number() -> int:
    """In a task: what its worker is known by in the run's tables: its pid, or a number."""
    return os.getpid() if _number is None else _number


def set_worker_number(number: int) -> None:
    """In a worker on another machine: what the run knows it by."""
    global _number
    _number = number


def leave_pool(exit_code: int) -> NoReturn:
    """In a task: end this worker, after what it said has reached the run; the task runs again."""
    EventsWorker.drain_all(timeout=_SAID_WITHIN_S)
    os._exit(exit_code)


def _leave_at_once() -> None:
    """Let the worker exit without Python's and torch's clean-up, which takes it two seconds."""
    util.Finalize(None, EventsWorker.drain_all, kwargs={"timeout": 5.0}, exitpriority=1000)
    util.Finalize(None, os._exit, args=(0,), exitpriority=_THE_END)


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
