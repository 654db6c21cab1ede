"""Runs that a worker left: the same ones go on, and find their finished chunks.

A worker that is stopped ends its runs at once, and they stay "Running" for ever
(https://github.com/PrefectHQ/prefect/issues/22528): its successor takes them up. One that goes on
may have lost a run as well: the server was killed before it answered that the run was claimed, or
was away when its end was to be told.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import AwaitingRetry, Cancelled, Crashed

from longscribe.deployments.claims import claimed_by
from longscribe.deployments.orphaned_runs import SILENT
from longscribe.flows.work_pool import WORK_POOL
from longscribe.wording.catalog import translated

AT_WORK: Final = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
_MOST_STARTS: Final = 10  # a run that takes its worker down each time must not do so for ever


def runs_in(client: SyncPrefectClient, states: Iterable[StateType]) -> list[FlowRun]:
    """The pool's runs in one of these states.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states)))
        ),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL])),
    )


def take_up(name: str) -> list[str]:
    """Schedule again the runs of a worker that is no more.

    Args:
        name: the worker's name.

    Returns:
        The names of the runs that go on.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    with get_client(sync_client=True) as client:
        runs = runs_in(client, [*AT_WORK, StateType.CRASHED])
        why = translated("Its worker was stopped; what was done is kept.")
        return [
            run.name
            for run in runs
            if claimed_by(run) == name
            and (run.state_type != StateType.CRASHED or _was_silent(run))
            and _goes_on(client, run, why)
        ]


class LeftRuns:
    """Looks for runs that are with a worker by the server's word, and not by its own.

    Args:
        name: of the worker.
        at: the runs that it is at just now.
    """

    def __init__(self, name: str, at: Callable[[], Collection[UUID]]) -> None:
        self._name = name
        self._at = at
        self._seen: set[tuple[UUID, UUID]] = set()  # a run, and the state that it was in

    def look(self) -> list[str]:
        """The names of the runs that go on now.

        Seen twice in the same state, with some time between: what was claimed or ended while the
        server answered looks like one that was left.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        with get_client(sync_client=True) as client:
            before = set(self._at())
            runs = runs_in(client, AT_WORK)
            at = before | set(self._at())
            left = {
                (run.id, run.state_id): run
                for run in runs
                if run.state_id is not None and claimed_by(run) == self._name and run.id not in at
            }
            again = self._seen & set(left)
            self._seen = set(left) - again
            why = translated("It was lost between server and worker; what was done is kept.")
            return [left[one].name for one in again if _goes_on(client, left[one], why)]


def _was_silent(run: FlowRun) -> bool:
    """Whether nothing but its silence speaks for its end."""
    return run.state is not None and run.state.message == SILENT


def _goes_on(client: SyncPrefectClient, run: FlowRun, why: str) -> bool:
    """End what is left of it; whether the run goes on. Its state says so too, and why."""
    _end_orphan(run)
    if run.state_type == StateType.CANCELLING:
        client.set_flow_run_state(
            run.id, Cancelled(message=translated("Its worker was stopped.")), force=True
        )
        return False
    if run.run_count >= _MOST_STARTS:
        message = translated(
            "Its worker ended {count} times while it ran; retry it by hand."
        ).format(count=run.run_count)
        client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        return False
    state: State[Any] = AwaitingRetry(scheduled_time=datetime.now(UTC), message=why)
    client.set_flow_run_state(run.id, state, force=True)
    return True


def _end_orphan(run: FlowRun) -> None:
    """End a flow process that outlived its worker, as after SIGKILL, with all its children."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run.id):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
