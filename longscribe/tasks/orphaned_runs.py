"""Rows in the Prefect UI of what died without a word: marked Crashed, not Running for ever."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType, TaskRun
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Completed, Crashed

from longscribe.runtime.scratch import dead_runs
from longscribe.tasks.current_run import current_run
from longscribe.tasks.stopping import server_answers
from longscribe.wording.catalog import translated

_UNFINISHED: Final = [StateType.PENDING, StateType.RUNNING]
_PAGE: Final = 200
_LOOK_AGAIN_S: Final = 0.5
_MARK_WITHIN_S: Final = 3.0
# Between looks at the end of a run for rows whose last events are on their way.
_LATE_EVENTS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.75)
_SETTLED_WITHIN_S: Final = 300.0  # the run's own end waits for a server that is away even longer


@contextmanager
def marking_what_was_stopped() -> Iterator[None]:
    """Where the block is left by an exception, the run's tasks that were at work are Crashed."""
    try:
        yield
    except BaseException:
        run = current_run()
        if run is not None and server_answers():
            flow_run_id = run.id
            _in_background(lambda: _mark_stopped(flow_run_id), _MARK_WITHIN_S)
        raise


def _mark_stopped(flow_run_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        crashed: State[None] = Crashed(message=translated("The run was stopped."))
        for one in _unfinished(client, flow_run_id):
            client.set_task_run_state(one.id, crashed, force=True)


def settle_rows(failed: Mapping[str, str]) -> None:
    """At the end of a run: no row of its tasks may go on as Running, for nobody works on it.

    Rows are made from events. One is lost when the server or its database is away at that moment,
    and taken for older than what the row says where the clock was set back in between. A server
    that is away just now is waited for.

    Args:
        failed: names of task runs that did not come through, and why.
    """
    run = current_run()
    if run is not None:
        flow_run_id, give_up_s = run.id, time.monotonic() + _SETTLED_WITHIN_S
        _in_background(
            lambda: _settle_when_it_answers(flow_run_id, failed, give_up_s), _SETTLED_WITHIN_S
        )


def _settle_when_it_answers(flow_run_id: UUID, failed: Mapping[str, str], give_up_s: float) -> None:
    is_waiting = False
    while True:
        try:
            _settle(flow_run_id, failed)
            return
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            is_refusal = (
                isinstance(error, httpx.HTTPStatusError) and not error.response.is_server_error
            )
            if is_refusal or time.monotonic() > give_up_s:
                raise
        if not is_waiting:
            get_run_logger().warning(
                translated(
                    "The Prefect server does not answer: waiting, to show there how this run ended"
                )
            )
            is_waiting = True
        time.sleep(_LOOK_AGAIN_S)


def _settle(flow_run_id: UUID, failed: Mapping[str, str]) -> None:
    with get_client(sync_client=True) as client:
        for pause_s in _LATE_EVENTS_S:
            left = _unfinished(client, flow_run_id)
            if not left:
                return
            time.sleep(pause_s)
        for one in left:
            reason = failed.get(one.name)
            state: State[Any] = Crashed(message=reason) if reason is not None else Completed()
            client.set_task_run_state(one.id, state, force=True)


def _unfinished(client: SyncPrefectClient, flow_run_id: UUID) -> list[TaskRun]:
    """Some task runs of a flow run that are not over, as far as the server knows."""
    state = TaskRunFilterState(type=TaskRunFilterStateType(any_=_UNFINISHED))
    return client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
        task_run_filter=TaskRunFilter(state=state),
        limit=_PAGE,
    )


def name_of_attempt() -> str:
    """Of the flow run that this is, for `mark_dead_runs` of another: its id and its state's.

    The state tells whether somebody went on with the run since.
    """
    run = current_run()
    assert run
    assert run.state
    return f"{run.id} {run.state.id}"


def mark_dead_runs(current: UUID) -> None:
    """Mark the runs of this machine that nobody will end, and remove what they left on disk.

    Also the tasks that an earlier attempt at this run left on a machine that is gone: at the end
    of the run they would count as having come through (`settle_rows`).

    Args:
        current: the flow run that this is; a retry has the id of the run that was killed.
    """
    with suppress(httpx.HTTPError, PrefectHTTPStatusError), dead_runs() as names:
        for name in names:
            with suppress(ValueError):  # the machine went down while the name was written
                flow_run_id, state_id = map(UUID, name.split())
                _mark_run(flow_run_id, state_id, itself=flow_run_id != current)
    run = current_run()
    if run is not None and run.run_count > 1:
        with (
            suppress(httpx.HTTPError, PrefectHTTPStatusError),
            get_client(sync_client=True) as client,
        ):
            _mark_tasks(client, current)


def _mark_run(flow_run_id: UUID, state_id: UUID, *, itself: bool) -> None:
    """Mark the rows that a process left behind.

    Args:
        flow_run_id: of its flow run.
        state_id: of the state that it gave to the flow run when it began.
        itself: also the flow run; not so when it is the one that goes on now.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(flow_run_id)
        except ObjectNotFound:
            return  # it was on another server, or was deleted
        is_as_left = run.state is not None and run.state.id == state_id
        if itself and not is_as_left and run.state is not None and run.state.is_running():
            return  # a later attempt is at work, and has marked what there was to mark
        _mark_tasks(client, flow_run_id)
        # One that waits for another attempt, or is being cancelled, is left to whoever does that.
        if itself and is_as_left:
            client.set_flow_run_state(flow_run_id, _ended(), force=True)


def _mark_tasks(client: SyncPrefectClient, flow_run_id: UUID) -> None:
    # A page again and again: those marked are no longer in it.
    while tasks := _unfinished(client, flow_run_id):
        for one in tasks:
            client.set_task_run_state(one.id, _ended(), force=True)


def _ended() -> State[None]:
    return Crashed(message=translated("The process of the run was ended."))


def _in_background(work: Callable[[], None], wait_s: float) -> None:
    def attempt() -> None:
        with suppress(httpx.HTTPError, PrefectHTTPStatusError):  # no server to tell
            work()

    # Which server it is lies in a context variable.
    thread = threading.Thread(target=copy_context().run, args=(attempt,), daemon=True)
    thread.start()
    thread.join(wait_s)
