"""What a worker's successor, and the worker itself, do with runs that were left."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelling, Completed, Crashed, Running

from longscribe.deployments.claims import claim, claimed_by
from longscribe.deployments.left_runs import LeftRuns, take_up
from longscribe.deployments.orphaned_runs import SILENT
from longscribe.flows.work_pool import prepare_work_pool
from tests.deployments.pool_runs import pool_run


@pytest.fixture
def left_behind(prefect_server: None) -> Iterator[Callable[[str, State], UUID]]:
    prepare_work_pool()
    made: list[UUID] = []

    def make(worker: str, state: State) -> UUID:
        made.append(pool_run(worker, state))
        return made[-1]

    yield make
    with get_client(sync_client=True) as client:
        for run_id in made:
            client.delete_flow_run(run_id)


def read(run_id: UUID) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id)


def test_running_goes_on(left_behind) -> None:
    run_id = left_behind("one", Running())
    assert take_up("one") == [read(run_id).name]
    run = read(run_id)
    assert run.state_type == StateType.SCHEDULED
    assert run.state_name == "AwaitingRetry"
    assert take_up("one") == []


def test_what_was_only_silent_goes_on(left_behind) -> None:
    silent = left_behind("silent", Crashed(message=SILENT))
    broken = left_behind("silent", Crashed(message="The flow's own fault"))
    assert take_up("silent") == [read(silent).name]
    assert read(broken).state_type == StateType.CRASHED


def test_other_workers_and_ended_runs_are_left_alone(left_behind) -> None:
    others = left_behind("two", Running())
    done = left_behind("three", Completed())
    assert take_up("three") == []
    assert read(others).state_type == StateType.RUNNING
    assert read(done).state_type == StateType.COMPLETED


def test_cancelling_ends_cancelled(left_behind) -> None:
    run_id = left_behind("four", Cancelling())
    assert take_up("four") == []
    assert read(run_id).state_type == StateType.CANCELLED


def test_run_that_takes_its_worker_down_does_not_go_on_for_ever(
    left_behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longscribe.deployments.left_runs._MOST_STARTS", 1)
    run_id = left_behind("five", Running())
    assert take_up("five") == []
    run = read(run_id)
    assert run.state_type == StateType.CRASHED
    assert run.state is not None
    assert "1 times" in str(run.state.message)


def test_process_that_outlived_its_worker_is_ended(left_behind) -> None:
    run_id = left_behind("six", Running())
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "PREFECT__FLOW_RUN_ID": str(run_id)},
    )
    try:
        take_up("six")
        assert orphan.wait(timeout=60) != 0
    finally:
        orphan.kill()
        orphan.wait()


def test_what_was_claimed_without_a_label_goes_on(left_behind) -> None:
    # The label is an earlier worker's: the one that claimed it was killed before it wrote its own.
    run_id = left_behind("earlier", claim("later"))
    assert claimed_by(read(run_id)) == "later"
    assert take_up("earlier") == []
    assert take_up("later") == [read(run_id).name]
    assert read(run_id).state_name == "AwaitingRetry"
    assert claimed_by(read(run_id)) == "earlier"


@pytest.mark.parametrize("state", [claim("alive"), Running()])
def test_a_worker_finds_what_it_lost(left_behind, state: State) -> None:
    lost, at, others = (
        left_behind("alive", state),
        left_behind("alive", state),
        left_behind("other", Running()),
    )
    left = LeftRuns("alive", lambda: {at})
    assert left.look() == []  # it might have been claimed or ended just now
    assert left.look() == [read(lost).name]
    found = read(lost)
    assert found.state_name == "AwaitingRetry"
    assert "lost between server and worker" in str(found.state and found.state.message)
    assert read(at).state_type == state.type
    assert read(others).state_type == StateType.RUNNING
    assert left.look() == []


def test_what_is_claimed_while_a_worker_looks_is_not_lost(left_behind) -> None:
    run_id = left_behind("busy", Running())
    at: set[UUID] = set()
    left = LeftRuns("busy", lambda: at)
    assert left.look() == []
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Running(), force=True)  # once more, elsewhere in time
    assert left.look() == []
    at.add(run_id)
    assert left.look() == []
    assert read(run_id).state_type == StateType.RUNNING
