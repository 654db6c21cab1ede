"""One worker process, the only one of its executor: its death is nobody else's."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import suppress
from ctypes import c_uint64
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple

import psutil

from longscribe.runtime.fork_server import (
    FORK_SERVER_DIED,
    fork_server_pid,
    kill_fork_server,
    start_fork_server,
)
from longscribe.task_runner.effort import Vitals, vitals_of
from longscribe.task_runner.inside import SAID_ALL, Outcome, begin, perform, say_all
from longscribe.task_runner.job import Job

_LEAVE_WITHIN_S: Final = 10.0  # with nothing left to do
_READ_WITHIN_S: Final = 2.0  # what it said last
_SAY_ALL_WITHIN_S: Final = 10.0

Forward = Callable[[Any], None]


class Setup(NamedTuple):
    """What every worker begins with.

    Attributes:
        initializer: called in it with `initargs` before its first task.
        initargs: picklable.
        preload: modules that the fork server imports for all workers.
    """

    initializer: Callable[..., None] | None
    initargs: tuple[Any, ...]
    preload: tuple[str, ...]


class Worker:
    """A process that performs one call after the other.

    Processes of one pool share its queues, and a lock: one that dies or is stopped with it takes
    the others along. So each has an executor of its own.

    Attributes:
        slot: its number among the workers there are, from 0.
        pid: of the process; None until it is started.
        ready: its initializer has returned.
    """

    def __init__(self, setup: Setup, forward: Forward, slot: int = 0) -> None:
        """Nothing is started yet.

        Args:
            setup: what it begins with.
            forward: takes Prefect's messages from it, on a thread.
            slot: its number among the workers there are, from 0.
        """
        self._setup = setup
        self._forward = forward
        self.slot = slot
        self._executor: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None
        self._seen: psutil.Process | None = None
        self._server_pid: int | None = None
        self._reading: threading.Thread | None = None
        self.pid: int | None = None
        self.ready = False
        self._has_said_all = threading.Event()
        self._count = c_uint64()  # of what it has finished

    def start(self) -> Future[int]:
        """Start the process; may wait for the fork server. Not from two threads at once.

        Returns:
            its pid, when its initializer has returned.

        Raises:
            OSError, EOFError, BrokenProcessPool: the fork server is gone.
        """
        start_fork_server(self._setup.preload)
        self._server_pid = fork_server_pid()
        context = multiprocessing.get_context("forkserver")
        reader, writer = context.Pipe(duplex=False)
        given = (self._setup.initializer, self._setup.initargs)
        self._count = context.RawValue(c_uint64)
        initargs = (writer, dict(os.environ), self.slot, self._count, *given)
        executor = ProcessPoolExecutor(1, context, begin, initargs)
        self._executor = executor
        before = multiprocessing.active_children()
        ready = executor.submit(os.getpid)  # starts the process
        writer.close()  # so that the pipe ends with the process
        started = set(multiprocessing.active_children()).difference(before)
        self._process = next(iter(started), None)
        if self._process is not None and self._process.pid is not None:
            with suppress(psutil.Error):
                self._seen = psutil.Process(self._process.pid)
            self.pid = self._process.pid
        self._reading = threading.Thread(target=self._read, args=(reader,), daemon=True)
        self._reading.start()
        return ready

    def give(self, job: Job, halvings: int) -> Future[Outcome]:
        """Hand a call over; one at a time.

        Raises:
            BrokenProcessPool: the worker is dead.
        """
        assert self._executor is not None
        return self._executor.submit(perform, job.call, halvings)

    def hear_out(self) -> bool:
        """Whether all that it had to say of its tasks has been forwarded; it is not at one."""
        assert self._executor is not None
        self._has_said_all.clear()
        with suppress(BrokenExecutor, RuntimeError, OSError):
            self._executor.submit(say_all)
            return self._has_said_all.wait(_SAY_ALL_WITHIN_S)
        return False

    @property
    def is_alive(self) -> bool:
        """Whether its process runs, be it stopped."""
        return self._seen is None or self._seen.is_running()

    @property
    def vitals(self) -> Vitals | None:
        """What it has done so far; None where there is no process."""
        return None if self.pid is None else vitals_of(self.pid, self._count.value)

    @property
    def is_stopped(self) -> bool:
        """Whether a signal stopped it, such as SIGSTOP."""
        return self.pid is not None and is_stopped(self.pid)

    def kill(self) -> None:
        """End it now, whatever it is at.

        By its pid: multiprocessing takes it for ended when its fork server died.
        """
        if self._seen is not None:
            with suppress(psutil.Error):
                self._seen.kill()

    def bury(self) -> int:
        """After its death, or instead of it: clear up. What it said last has arrived.

        Returns:
            its exit code, minus the signal that killed it; `FORK_SERVER_DIED` when nobody knows.
        """
        self.kill()
        kill_fork_server(only_stopped=True)  # it would not tell the executor of the death
        if self._executor is not None:
            # Until its thread has ended, two would ask for the exit code, and one be told nothing.
            self._executor.shutdown(wait=True, cancel_futures=True)
        if self._reading is not None:
            self._reading.join(_READ_WITHIN_S)
        code = None if self._process is None else self._process.exitcode
        if code is None:
            return FORK_SERVER_DIED
        if code == FORK_SERVER_DIED and self._server_pid == fork_server_pid():
            with suppress(psutil.Error):
                server = psutil.Process(self._server_pid)
                if server.status() != psutil.STATUS_ZOMBIE:
                    return -signal.SIGKILL  # the code was lost between two threads
        return code

    def leave(self) -> None:
        """Let it end by itself; it is not at a task."""
        killer = threading.Timer(_LEAVE_WITHIN_S, self._kill_with_server)
        killer.daemon = True
        killer.start()
        try:
            if self._executor is not None:
                self._executor.shutdown(wait=True, cancel_futures=True)
            if self._reading is not None:
                self._reading.join(_READ_WITHIN_S)
        finally:
            killer.cancel()

    def _kill_with_server(self) -> None:
        self.kill()
        kill_fork_server(only_stopped=True)

    def _read(self, pipe: Connection) -> None:
        with pipe, suppress(EOFError, OSError):
            for message in iter(partial(_receive, pipe), None):
                if message == SAID_ALL:
                    self._has_said_all.set()
                else:
                    self._forward(message)


def _receive(pipe: Connection) -> Any:
    """The next message; None after one that was cut off by its sender's death."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        raise
    except Exception:  # whatever pickle makes of half a message
        return None


def is_stopped(pid: int) -> bool:
    """Whether a signal stopped a process, such as SIGSTOP."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
