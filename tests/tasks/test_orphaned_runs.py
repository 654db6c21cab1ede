"""Rows of runs whose process is gone: marked by the next run, unless somebody went on with them."""

import time
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import AwaitingRetry, Cancelling, Completed, Running

from longscribe.tasks import orphaned_runs as crashed_runs
from longscribe.tasks.orphaned_runs import mark_dead_runs, settle_rows

AWAY = httpx.ConnectError("refused")


def answer(code: int) -> httpx.HTTPStatusError:
    """What the client raises when the server answers so."""
    request = httpx.Request("POST", "http://server/api/task_runs/filter")
    return PrefectHTTPStatusError("", request=request, response=httpx.Response(code))


@flow
def recording() -> None:
    """Never called: its runs are only states."""


@task
def chunk() -> None:
    """Never called, either."""


def left_behind(client: SyncPrefectClient, folder: Path) -> tuple[UUID, TaskRun]:
    """A run at work with a task run, whose process left nothing but its name."""
    run = client.create_flow_run(recording)
    began = client.set_flow_run_state(run.id, Running(), force=True).state
    assert began is not None
    of_run = client.create_task_run(chunk, flow_run_id=run.id, dynamic_key="0", state=Running())
    scratch = folder / f"longscribe-{run.id}"
    scratch.mkdir()
    (scratch / "owner").write_text(f"{run.id} {began.id}")
    return run.id, of_run


def test_a_dead_run_and_its_tasks_are_crashed(tmp_path: Path) -> None:
    with get_client(sync_client=True) as client:
        run_id, of_run = left_behind(client, tmp_path)
        mark_dead_runs(uuid4())
        assert client.read_flow_run(run_id).state_name == "Crashed"
        assert client.read_task_run(of_run.id).state_name == "Crashed"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("state", "of_tasks"),
    [
        (AwaitingRetry(), "Crashed"),
        (Cancelling(), "Crashed"),
        (Completed(), "Crashed"),
        (Running(), "Running"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else value,
)
def test_one_that_somebody_went_on_with_is_left_to_him(
    tmp_path: Path, state: State[None], of_tasks: str
) -> None:
    with get_client(sync_client=True) as client:
        run_id, of_run = left_behind(client, tmp_path)
        client.set_flow_run_state(run_id, state, force=True)
        mark_dead_runs(uuid4())
        assert client.read_flow_run(run_id).state_name == state.name
        assert client.read_task_run(of_run.id).state_name == of_tasks
    assert not list(tmp_path.iterdir())


def test_an_attempt_marks_what_the_one_before_left(tmp_path: Path) -> None:
    with get_client(sync_client=True) as client:
        run_id, of_run = left_behind(client, tmp_path)
        mark_dead_runs(run_id)
        assert client.read_flow_run(run_id).state_name == "Running"
        assert client.read_task_run(of_run.id).state_name == "Crashed"


@pytest.mark.parametrize(("retries", "state"), [(0, "Completed"), (1, "Crashed")])
def test_another_attempt_marks_what_one_left_on_a_machine_that_is_gone(
    retries: int, state: str
) -> None:
    left = []

    @flow(retries=retries)
    def run() -> str:
        own = FlowRunContext.get()
        assert own
        assert own.flow_run
        run_id = own.flow_run.id
        mark_dead_runs(run_id)
        with get_client(sync_client=True) as client:
            if not left:
                row = client.create_task_run(
                    chunk, flow_run_id=run_id, dynamic_key="0", state=Running()
                )
                left.append(row.id)
                if retries:
                    raise ConnectionError("the machine is gone")
            settle_rows({})
            return str(client.read_task_run(left[0]).state_name)

    assert run() == state


def test_rows_whose_end_did_not_reach_the_server_are_settled_at_the_end_of_the_run() -> None:
    @flow
    def run() -> list[str]:
        own = FlowRunContext.get()
        assert own
        assert own.flow_run
        with get_client(sync_client=True) as client:
            rows = [
                client.create_task_run(
                    chunk, flow_run_id=own.flow_run.id, name=name, dynamic_key=name, state=Running()
                )
                for name in ("came through", "failed")
            ]
            settle_rows({"failed": "its worker died"})
            return [str(client.read_task_run(row.id).state_name) for row in rows]

    assert run() == ["Completed", "Crashed"]


@pytest.mark.parametrize(
    ("failure", "asked_times", "state"),
    [(AWAY, 3, "Completed"), (answer(500), 3, "Completed"), (answer(403), 1, "Running")],
)
def test_a_server_that_is_away_at_the_end_of_the_run_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    asked_times: int,
    state: str,
) -> None:
    asked: list[float] = []

    def fails_twice(**options: Literal[True]) -> SyncPrefectClient:
        asked.append(time.monotonic())
        if len(asked) < 3:
            raise failure
        return get_client(**options)

    @flow
    def run() -> str:
        own = FlowRunContext.get()
        assert own
        assert own.flow_run
        with get_client(sync_client=True) as client:
            row = client.create_task_run(
                chunk, flow_run_id=own.flow_run.id, name="one", dynamic_key="one", state=Running()
            )
            monkeypatch.setattr(crashed_runs, "get_client", fails_twice)
            settle_rows({})
            return str(client.read_task_run(row.id).state_name)

    assert run() == state
    assert len(asked) == asked_times
    assert caplog.text.count("The Prefect server does not answer") == (asked_times > 1)
