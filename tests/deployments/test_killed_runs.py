"""What becomes of a run whose process was killed: five times it goes on, then it is given up."""

import signal
from datetime import UTC, datetime
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Cancelling, Completed, Pending, Running

from longscribe.deployments.killed_runs import KILLS_LABEL, take_up_killed
from longscribe.tasks.current_run import MEMORY_KILLS_LABEL


@flow
def recording() -> None:
    """Never called: its runs are only states."""


def a_run(state: State) -> UUID:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(recording)
        client.set_flow_run_state(run.id, state, force=True)
    return run.id


def killed(run_id: UUID, by: int | str = -signal.SIGKILL, ran_out: bool = False) -> FlowRun:
    with get_client(sync_client=True) as client:
        take_up_killed(client, run_id, by, ran_out=ran_out)
        return client.read_flow_run(run_id)


def again(run_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Running(), force=True)


@pytest.mark.parametrize("state", [Running(), Pending()])
def test_it_goes_on(state: State) -> None:
    run = killed(a_run(state))
    assert run.state_name == "AwaitingRetry"
    assert "SIGKILL; 1 of at most 5 times" in str(run.state and run.state.message)
    assert (run.labels[KILLS_LABEL], run.labels[MEMORY_KILLS_LABEL]) == (1, 0)


def test_after_five_times_it_is_given_up_and_by_hand_it_may_go_on() -> None:
    run_id = a_run(Running())
    for _ in range(5):
        assert killed(run_id).state_name == "AwaitingRetry"
        again(run_id)
    run = killed(run_id)
    assert run.state_name == "Failed"
    assert "broke off 6 times, last with SIGKILL" in str(run.state and run.state.message)
    again(run_id)
    assert killed(run_id).state_name == "AwaitingRetry"


def test_with_less_memory_where_it_ran_out_and_from_the_second_time_on() -> None:
    run_id = a_run(Running())
    assert killed(run_id, ran_out=True).labels[MEMORY_KILLS_LABEL] == 1
    again(run_id)
    assert killed(run_id, by=-signal.SIGSEGV, ran_out=True).labels[MEMORY_KILLS_LABEL] == 1
    again(run_id)
    assert killed(run_id).labels[MEMORY_KILLS_LABEL] == 2


def test_reasons_are_told() -> None:
    run_id = a_run(Running())
    assert "(exit code 1; 1 of" in str(killed(run_id, by=1).state)
    again(run_id)
    run = killed(run_id, by="Failed to submit: ConnectError")
    assert "(Failed to submit: ConnectError; 2 of" in str(run.state)
    # A server that was away is not asked at once again and again.
    assert run.next_scheduled_start_time is not None
    assert run.next_scheduled_start_time > datetime.now(UTC)


@pytest.mark.parametrize("state", [Completed(), Cancelled()])
def test_what_has_ended_stays_so(state: State) -> None:
    assert killed(a_run(state)).state_type == state.type


def test_one_that_was_being_cancelled_is_cancelled() -> None:
    assert killed(a_run(Cancelling())).state_name == "Cancelled"
