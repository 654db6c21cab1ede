"""Runs of a worker whose machine is gone go on with another, once, and others are left alone."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL
from prefect.states import Running

from longscribe.deployments import lost_workers
from longscribe.deployments.left_runs import take_up
from longscribe.deployments.lost_workers import LostWorkers
from longscribe.flows.work_pool import WORK_POOL, prepare_work_pool
from tests.deployments.pool_runs import pool_run


class Clock:
    """One that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def pool(prefect_server: None) -> Iterator[None]:
    """The pool without workers."""

    def forget() -> None:
        url = f"{PREFECT_API_URL.value()}/work_pools/{WORK_POOL}/workers"
        for worker in httpx.post(f"{url}/filter", json={}).json():
            httpx.delete(f"{url}/{worker['name']}").raise_for_status()

    prepare_work_pool()
    forget()
    yield
    forget()


def heartbeat(*names: str) -> None:
    with get_client(sync_client=True) as client:
        for name in names:
            client.send_worker_heartbeat(WORK_POOL, name, heartbeat_interval_seconds=30)


def running(worker: str) -> UUID:
    return pool_run(worker, Running())


def state(run_id: UUID) -> StateType | None:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state_type


def test_a_lost_worker_s_runs_go_on_after_a_minute(pool: None) -> None:
    heartbeat("alive-1", "alive-2")
    lost, alive = running("gone"), running("alive-2")
    clock = Clock()
    first = LostWorkers("alive-1", take_up, clock)
    second = LostWorkers("alive-2", take_up, clock)
    assert first.look() == []
    clock.now_s += 59.0
    assert (first.look(), second.look(), state(lost)) == ([], [], StateType.RUNNING)
    clock.now_s += 2.0
    assert second.look() == []  # the first by name does it
    assert len(first.look()) == 1
    assert state(lost) == StateType.SCHEDULED
    assert state(alive) == StateType.RUNNING
    clock.now_s += 100.0
    assert first.look() == []
    take_up("alive-2")


def test_a_worker_that_came_back_keeps_its_runs(pool: None) -> None:
    heartbeat("alive")
    run_id = running("restarted")
    clock = Clock()
    looker = LostWorkers("alive", take_up, clock)
    assert looker.look() == []
    clock.now_s += 50.0
    heartbeat("restarted")
    assert looker.look() == []
    clock.now_s += 50.0
    assert looker.look() == []
    assert state(run_id) == StateType.RUNNING
    take_up("restarted")


def test_a_busy_server_that_misses_the_one_that_looks_costs_no_minute(
    pool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat("alive")
    lost = running("gone")
    clock = Clock()
    looker = LostWorkers("alive", take_up, clock)
    assert looker.look() == []
    with monkeypatch.context() as busy:
        busy.setattr(lost_workers, "_online", lambda client: set())
        clock.now_s += 61.0
        assert looker.look() == []
        assert state(lost) == StateType.RUNNING
    assert len(looker.look()) == 1
    assert state(lost) == StateType.SCHEDULED
    take_up("alive")
