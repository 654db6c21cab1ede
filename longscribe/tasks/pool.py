"""The process pool of one run: workers that stay within their threads and never outlive it."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Final

import psutil
from prefect.task_runners import ProcessPoolTaskRunner

from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.runtime.machine import Sizing
from longscribe.tasks.fork_server import fork_server_pid, start_fork_server
from longscribe.tasks.worker import start_worker

CHUNK_LOGGER = "chunk"  # the name under a task run's logger that marks a chunk's own lines

_LEAVE_WITHIN_S: Final = 10.0  # for workers that have nothing left to do
_DEAD_WITHIN_S: Final = 1.0

# What multiprocessing takes for a worker's exit code when it cannot know (popen_forkserver.py).
FORK_SERVER_DIED: Final = 255


class Workers:
    """The worker processes of one run, and new ones in their place when one of them died.

    A pool of `concurrent.futures` is lost with any of its processes. As a context manager; without
    an exception workers leave by themselves, otherwise at once.
    """

    def __init__(
        self, sizing: Sizing, model: tuple[ModelSpec, DecodingOptions] | None = None
    ) -> None:
        self.sizing = sizing
        self._model = model
        self._runner: ProcessPoolTaskRunner | None = None
        self._stack = ExitStack()
        self._children: dict[int, BaseProcess] = {}
        self._processes: dict[int, psutil.Process] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(at_once=error is not None)

    def start(self) -> ProcessPoolTaskRunner:
        """The pool there is now, started if there is none."""
        if self._runner is None:
            self._runner = self._stack.enter_context(worker_pool(self.sizing, self._model))
        return self._runner

    @property
    def can_finish(self) -> bool:
        """Whether results still come back: the executor's own thread may have died.

        It takes only an Exception from a child; any other, such as the SystemExit that Prefect
        makes of an error outside a task's body, ends it, and no future is ever done again.
        """
        manager = self._manager
        return manager is None or manager.is_alive()

    @property
    def _manager(self) -> threading.Thread | None:
        executor = self._runner and self._runner._executor
        manager: threading.Thread | None = getattr(executor, "_executor_manager_thread", None)
        # The executor names it a moment before it starts it: it is neither dead nor to be joined.
        return None if manager is None or manager.ident is None else manager

    def look(self) -> None:
        """Remember the processes there are: their exit codes are wanted when they are gone."""
        executor = self._runner and self._runner._executor
        # Not active_children(), which forgets those that died.
        for child in list((getattr(executor, "_processes", None) or {}).values()):
            if child.pid is not None and child.pid not in self._children:
                self._children[child.pid] = child
                with suppress(psutil.Error):
                    self._processes[child.pid] = psutil.Process(child.pid)

    def stopped(self) -> set[int]:
        """Of the workers at the last `look`, and their fork server, those that SIGSTOP stopped."""
        return {pid for pid in (*self._processes, fork_server_pid()) if pid and is_stopped(pid)}

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes there were at the last `look`."""
        return tuple(self._children)

    def died(self) -> dict[int, int]:
        """The workers that broke the pool: pid -> exit code, minus the signal that killed them.

        The executor ends the others with SIGTERM; they are left out. It learns of a death from a
        pipe that closes, a moment before the process has an exit code.
        """
        give_up_s = time.monotonic() + _DEAD_WITHIN_S
        self.look()
        # It waits for them too; of two threads that ask at once one is told FORK_SERVER_DIED.
        if (manager := self._manager) is not None:
            manager.join(_DEAD_WITHIN_S)
        while True:
            codes = {pid: child.exitcode for pid, child in self._children.items()}
            died = {pid: code for pid, code in codes.items() if code not in (None, -signal.SIGTERM)}
            if died or time.monotonic() > give_up_s:
                return {pid: code for pid, code in died.items() if code is not None}
            time.sleep(0.01)

    def stop(self, *, at_once: bool) -> None:
        """End all workers; the next `start` makes others."""
        if at_once:
            kill_children()
            # Multiprocessing takes them for ended when it is the fork server that died.
            for process in self._processes.values():
                with suppress(psutil.Error):
                    process.kill()
        # A worker that was stopped (SIGSTOP) neither leaves nor takes a SIGTERM.
        killer = threading.Timer(_LEAVE_WITHIN_S, kill_children)
        killer.daemon = True
        killer.start()
        try:
            self._stack.close()
        finally:
            killer.cancel()
            self._runner = None
            self._children.clear()
            self._processes.clear()


def is_stopped(pid: int) -> bool:
    """Whether a signal stopped a process, such as SIGSTOP."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def kill_children() -> None:
    """End this process's workers now, whatever they are at."""
    server = fork_server_pid()
    if server and is_stopped(server):
        # A thread that waits for it to fork holds the executor's lock.
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
    children = multiprocessing.active_children()
    for child in children:
        child.kill()
    for child in children:
        child.join(_DEAD_WITHIN_S)


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
        initargs=(sizing.threads_per_worker, dict(os.environ), model),
    )
    start_fork_server()
    with runner as pool:
        spawning = pool._executor
        assert spawning is not None
        # Prefect offers no choice but `spawn`; its executor has not started anything yet.
        forking = ProcessPoolExecutor(
            sizing.workers,
            multiprocessing.get_context("forkserver"),
            spawning._initializer,
            spawning._initargs,
        )
        # All at once, before the thread that watches them: until Python 3.12 that thread, when one
        # dies, closes the pipes that others are just being started with, and takes the fork server
        # along (https://github.com/python/cpython/issues/109047).
        forking._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]
        pool._executor = forking
        # On a thread: they wait for the fork server, which may not be ready yet.
        threading.Thread(target=_start_all, args=(forking,), daemon=True).start()
        messages = pool._subprocess_message_queue
        try:
            yield pool
        except BaseException:
            # Leaving the runner waits for the chunks under way: minutes, when the run was stopped.
            kill_children()
            raise
        finally:
            # A worker killed while it sent a line keeps the queue's lock: without this, Python
            # would wait for that lock at its exit.
            if messages is not None:
                messages.cancel_join_thread()


def _start_all(executor: ProcessPoolExecutor) -> None:
    """Start a pool's processes now; by itself it starts them with the first chunk."""
    with suppress(RuntimeError, OSError, EOFError):  # the pool, or the fork server, is gone already
        executor.submit(os.getpid)


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
