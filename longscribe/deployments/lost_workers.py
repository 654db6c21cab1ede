"""Workers whose machine is gone: what they were at goes on with another.

A worker that is started again takes up its own runs (`left_runs`). One whose machine died does not
come back. Workers send the server heartbeats, and the server calls one Offline that misses three,
90 s by Prefect's defaults; nothing in Prefect then moves its runs. Here, of the workers that are
there, the first by name does: the same runs, scheduled again, which find their finished chunks in
the shared store.
"""

import time
from collections.abc import Callable
from typing import Final

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import WorkerStatus

from longscribe.deployments.claims import claimed_by
from longscribe.deployments.left_runs import AT_WORK, runs_in
from longscribe.flows.work_pool import WORK_POOL

LOOK_EVERY_S: Final = 30.0
# By a clock that stands still while a machine sleeps: after that all workers look Offline at first.
_GONE_FOR_S: Final = 60.0


class LostWorkers:
    """Looks for runs whose worker is gone.

    Args:
        name: of the worker that looks.
        take_up: schedules the runs of a worker again; returns their names.
        clock: in seconds.
    """

    def __init__(
        self,
        name: str,
        take_up: Callable[[str], list[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._take_up = take_up
        self._clock = clock
        self._gone_since_s: dict[str, float] = {}

    def look(self) -> list[str]:
        """The names of the runs that go on elsewhere now.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        with get_client(sync_client=True) as client:
            online = _online(client)
            # What the server does not hear from this one says nothing of the others.
            if self._name not in online:
                return []
            # One of those that see the same, so that no run is scheduled twice.
            if self._name != min(online):
                self._gone_since_s.clear()
                return []
            gone = _at_work(client) - online
        now_s = self._clock()
        since_s = {name: self._gone_since_s.get(name, now_s) for name in gone}
        lost = {name for name in gone if now_s - since_s[name] >= _GONE_FOR_S}
        self._gone_since_s = {name: since_s[name] for name in gone - lost}
        return [run for name in sorted(lost) for run in self._take_up(name)]


def _online(client: SyncPrefectClient) -> set[str]:
    """Workers of the pool that send heartbeats."""
    workers = client.read_workers_for_work_pool(WORK_POOL)
    return {worker.name for worker in workers if worker.status == WorkerStatus.ONLINE}


def _at_work(client: SyncPrefectClient) -> set[str]:
    """Workers that took runs which are not over."""
    return {name for run in runs_in(client, AT_WORK) if (name := claimed_by(run)) is not None}
