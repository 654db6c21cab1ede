"""The task runner of a flow whose tasks run on a Dask cluster."""

import itertools
import math
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from longscribe.task_runner.any_worker import AnyWorker
from longscribe.task_runner.cluster import Cluster, DaskWorker
from longscribe.task_runner.cluster_worker import RemoteWorker, Supply
from longscribe.task_runner.executor import SurvivingExecutor
from longscribe.task_runner.job import LostTask, TaskTraits
from longscribe.task_runner.runner import SurvivingTaskRunner
from longscribe.task_runner.worker import Setup
from longscribe.wording.catalog import UI_LANGUAGE_VARIABLE, translated, ui_language

_LOOK_EVERY_S: Final = 1.0
_AGAIN_AFTER_S: Final = 20.0  # a worker that was lost although it is still there
_ALONE_FROM_DEATHS: Final = 2  # the first may be its machine's, with all that ran there
_WAIT_FOR_WORKERS_S: Final = 600.0


class ClusterTaskRunner(SurvivingTaskRunner):
    """As `SurvivingTaskRunner`, with the workers of a Dask cluster in the place of its own.

    - A worker has one task at a time, with as many threads as it was started with. Workers that
      join are taken on, those that leave or die cost the task they were at, which runs again.
    - Nothing is shared but the connection: what tasks need is sent to them, what they write is sent
      back, and so are their states and logs, for a server that only this machine may reach.
    - Where no worker is left for ten minutes, tasks are given up.

    prefect-dask's runner does none of this, and where a worker dies it gives up tasks that only
    waited behind the one that killed it.

    Args:
        cluster: an address of a scheduler; connected to when the runner starts.
        supply: what tasks need of workers.
        most_workers: at most; None takes all.
        traits: of the tasks.
        processors: of what workers send, as Prefect's `subprocess_message_processor_factories`.
    """

    def __init__(
        self,
        address: str,
        supply: Supply,
        *,
        most_workers: int = 1024,
        traits: TaskTraits | None = None,
        processors: Iterable[Any] = (),
    ) -> None:
        super().__init__(most_workers, traits=traits, processors=processors)
        self._address = address
        self._supply = supply
        self._cluster: Cluster | None = None
        self._known: dict[str, DaskWorker] = {}
        self._hired: dict[str, RemoteWorker] = {}
        self._lost_s: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._seen_s = time.monotonic()
        self._has_said_so = False
        self._stop = threading.Event()

    def duplicate(self) -> "ClusterTaskRunner":
        """Another like it, not started."""
        return type(self)(
            self._address,
            self._supply,
            most_workers=self.most_workers,
            traits=self._traits,
            processors=self.subprocess_message_processor_factories,
        )

    def __enter__(self) -> "ClusterTaskRunner":
        """Connect; workers get ready by `warm_up` or the first task.

        Raises:
            ClusterError: the scheduler does not answer.
        """
        self._cluster = Cluster(self._address)
        self._known = self._cluster.workers()
        self._stop.clear()
        threading.Thread(target=self._watch, name="dask-cluster", daemon=True).start()
        super().__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        """Leave the cluster; what is still at work there ends."""
        super().__exit__(kind, error, traceback)
        self._stop.set()
        if self._cluster is not None:
            self._cluster.close()

    def warm_up(self) -> None:
        """Get all workers ready now."""
        assert self._surviving
        self._surviving.warm_up()

    @property
    def workers(self) -> int:
        """Workers that there are now; those that come later are not known yet."""
        return max(1, min(self.most_workers, len(self._known)))

    @property
    def hired(self) -> list[RemoteWorker]:
        """Workers that have been taken on."""
        return list(self._hired.values())

    @property
    def pids(self) -> tuple[int, ...]:
        """None: they are not processes of this machine."""
        return ()

    def executor_of_run(self) -> SurvivingExecutor:
        """One that hires from the cluster."""
        return SurvivingExecutor(
            self.most_workers, Setup(None, (), ()), self._hire, _ALONE_FROM_DEATHS
        )

    def keeps(self, executor: SurvivingExecutor) -> bool:
        """No: Dask keeps its workers."""
        return False

    def environment(self, env: dict[str, str]) -> dict[str, str]:
        """This machine's environment means nothing to others, and its secrets are its own."""
        return {UI_LANGUAGE_VARIABLE: ui_language()}

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            assert self._cluster
            with suppress(Exception):  # the scheduler is away: those it had may be there still
                self._known = self._cluster.workers()

    def _is_listed(self, address: str) -> bool:
        return address in self._known

    def _hire(self, slot: int) -> AnyWorker | None:
        """A worker that is at nothing; None where there is none."""
        assert self._cluster
        now_s = time.monotonic()
        for address, hired in list(self._hired.items()):
            if not hired.is_alive:
                del self._hired[address]
                self._lost_s[address] = math.inf if hired.is_refused else now_s
        if any(self._lost_s.get(address) != math.inf for address in self._known):
            self._seen_s = now_s
            self._has_said_so = False
        elif now_s - self._seen_s > _WAIT_FOR_WORKERS_S:
            raise LostTask(translated("no Dask worker is left"))
        elif not self._has_said_so:
            self._has_said_so = True
            self.logger.warning(translated("No Dask worker is there: waiting for one"))
        for address, worker in self._known.items():
            lost_s = self._lost_s.get(address)
            if address in self._hired or (lost_s and now_s - lost_s < _AGAIN_AFTER_S):
                continue
            hired = RemoteWorker(
                self._cluster,
                worker,
                next(self._numbers),
                slot,
                self._supply,
                self.forward,
                partial(self._is_listed, address),
                lambda: len(self._hired),
            )
            self._hired[address] = hired
            return hired
        return None
