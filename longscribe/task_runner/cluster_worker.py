"""A Dask worker in the executor's eyes: as one of this machine's, but not its own to kill."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Future, InvalidStateError
from contextlib import suppress
from typing import Any, Final, Protocol

from longscribe.errors import ClusterError
from longscribe.task_runner.cluster import Cluster, DaskWorker
from longscribe.task_runner.cluster_inside import (
    Order,
    Report,
    cancel,
    leave,
    look,
    receive,
    work,
)
from longscribe.task_runner.effort import Vitals
from longscribe.task_runner.inside import Outcome
from longscribe.task_runner.job import Job
from longscribe.task_runner.worker import Forward
from longscribe.task_runner.worker_ends import WORKER_LEFT

_LOOK_EVERY_S: Final = 2.0
_LOOKS_PER_S: Final = 8  # at all workers together: each is a connection of the scheduler's
_SILENT_S: Final = 60.0  # without an answer a worker counts as gone
_CANCEL_WITHIN_S: Final = 5.0

Call = Callable[..., Any]


class Supply(Protocol):
    """What a run's tasks need of a worker that shares no disk with it."""

    def prepare(self, worker: DaskWorker, call: Call) -> None:
        """Get a worker ready.

        Args:
            worker: that joins.
            call: runs a function there, with arguments, and gives its result.

        Raises:
            Exception: it cannot be used.
        """

    def attachments(self, parameters: Mapping[str, Any]) -> Mapping[str, bytes]:
        """What is sent along with a task."""

    def keep(self, worker: DaskWorker, path: str, content: bytes) -> None:
        """Keep a file that a task wrote there."""


class RemoteWorker:
    """A Dask worker that performs one call after the other, as one of Dask's tasks each.

    A thread of its own looks after it: Dask tells nobody how far a task is.

    Args:
        cluster: it is of.
        worker: itself.
        number: what the run knows it by, from 1; pids of several machines may be the same.
        slot: among the workers there are.
        supply: what tasks need of it.
        forward: takes Prefect's messages from it.
        is_listed: whether the scheduler still knows it.
        others: how many workers are looked at beside it.
    """

    def __init__(
        self,
        cluster: Cluster,
        worker: DaskWorker,
        number: int,
        slot: int,
        supply: Supply,
        forward: Forward,
        is_listed: Callable[[], bool],
        others: Callable[[], int],
    ) -> None:
        self._cluster = cluster
        self.worker = worker
        self.slot = slot
        self.pid: int | None = number
        self.ready = False
        self.is_stopped = False
        self.vitals: Vitals | None = None
        self.is_alive = True
        self.is_refused = False  # it can do nothing for this run, now or later
        self._number = number
        self._supply = supply
        self._forward = forward
        self._is_listed = is_listed
        self._others = others
        self._token = ""  # of the order that it is at
        self._doing: Future[Outcome] | None = None
        self._thread: threading.Thread | None = None
        self._has_ended = threading.Event()
        self._has_ended.set()

    def start(self) -> Future[int]:
        """Get it ready, on a thread: its number when it is."""
        ready: Future[int] = Future()

        def prepare() -> None:
            try:
                self._supply.prepare(self.worker, self._call_counted)
            except Exception as error:
                self.is_refused = isinstance(error, ClusterError)
                self.is_alive = False
                ready.set_exception(error)
            else:
                ready.set_result(self._number)

        threading.Thread(target=prepare, name="dask-worker-starts", daemon=True).start()
        return ready

    def _call_counted(self, function: Callable[..., Any], *args: Any) -> Any:
        answer = self._cluster.call(self.worker.address, function, *args)
        done = self.vitals.progress[0] + 1 if self.vitals else 1
        self.vitals = Vitals((done, 0), 0.0, 0.0)
        return answer

    def give(self, job: Job, halvings: int) -> Future[Outcome]:
        """Hand a call over; one at a time."""
        self._token, self._doing = uuid.uuid4().hex, Future()
        self.vitals = None
        self._has_ended.clear()
        self._thread = threading.Thread(
            target=self._carry_out,
            args=(job, halvings, self._token, self._doing),
            name="dask-worker",
            daemon=True,
        )
        self._thread.start()
        return self._doing

    def _carry_out(self, job: Job, halvings: int, token: str, doing: Future[Outcome]) -> None:
        address, dask_future = self.worker.address, None
        try:
            with self._cluster.sending:
                for name, content in self._supply.attachments(job.order.parameters).items():
                    self._cluster.ask(address, receive, token, name, content)
            order = Order(
                self._cluster.client.id, token, self._number, job.call, halvings, time.monotonic()
            )
            dask_future = self._cluster.client.submit(
                work,
                order,
                key=f"{job.order.name}-{job.number}-{token}",
                workers=[address],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            report = self._watched(dask_future, token, doing)
            for message in report.messages:
                self._forward(message)
            for path, content in report.files.items():
                self._supply.keep(self.worker, path, content)
            with suppress(InvalidStateError):
                doing.set_result(report.outcome)
        except Exception as error:
            self._lose(doing, error)
        finally:
            self._has_ended.set()
            if dask_future is not None:
                with suppress(Exception):  # Dask's own, once the scheduler is gone
                    dask_future.cancel()

    def _watched(self, dask_future: Any, token: str, doing: Future[Outcome]) -> Report:
        """Wait for an order's report, looking at it again and again.

        Raises:
            OSError: the worker is gone, or does not answer.
        """
        has_come = threading.Event()
        dask_future.add_done_callback(lambda _: has_come.set())
        answered_s = time.monotonic()
        while not has_come.wait(max(_LOOK_EVERY_S, self._others() / _LOOKS_PER_S)):
            if doing.done():
                raise OSError("not waited for any more")
            if not self._is_listed():
                raise OSError("no more among the scheduler's workers")
            try:
                seen = self._cluster.ask(self.worker.address, look, token)
            except OSError:
                if time.monotonic() - answered_s > _SILENT_S:
                    raise
                continue
            answered_s = time.monotonic()
            if seen.vitals is not None:
                self.vitals = seen.vitals
            for message in seen.messages:
                self._forward(message)
        report: Report = dask_future.result(timeout=30)
        return report

    def _lose(self, doing: Future[Outcome] | None, error: Exception | None = None) -> None:
        self.is_alive = False
        if doing is not None:
            with suppress(InvalidStateError):
                doing.set_exception(BrokenExecutor(f"{type(error).__name__}: {error}"))

    def hear_out(self) -> bool:
        """No: a cluster is met again by the next run."""
        return False

    def kill(self) -> None:
        """End what it is at, not the worker, unless that does not heed it."""
        doing, token = self._doing, self._token
        is_at_it = doing is not None and not doing.done()
        self._lose(doing)
        if is_at_it:
            threading.Thread(target=self._end, args=(token,), daemon=True).start()

    def _end(self, token: str) -> None:
        with suppress(Exception):  # it may be gone
            give_up_s = time.monotonic() + _CANCEL_WITHIN_S
            while self._cluster.ask(self.worker.address, cancel, token):
                if time.monotonic() > give_up_s:
                    self._cluster.ask(self.worker.address, leave)
                time.sleep(0.2)
        self._has_ended.set()

    def bury(self) -> int:
        """It is not the run's any more."""
        if self._doing is not None:
            self.kill()
            self._has_ended.wait(_CANCEL_WITHIN_S + 1.0)
        return WORKER_LEFT

    def leave(self) -> None:
        """Let it be."""
