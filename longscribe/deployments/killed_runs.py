"""Runs whose process was killed, as the kernel does when memory ends: taken up again, five times.

Prefect leaves such a run Crashed until somebody starts it again. Its finished chunks are kept, so
that it goes on where it was. How often it was killed stands in its labels, on the server: it
outlives the worker.
"""

import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.states import AwaitingRetry, Cancelled, Failed

from longscribe.tasks.current_run import MEMORY_KILLS_LABEL
from longscribe.wording.catalog import translated

KILLS_LABEL: Final = "longscribe.kills"
_MOST_KILLS: Final = 5


def take_up_killed(
    client: SyncPrefectClient, flow_run_id: UUID, killed_by: int, *, ran_out: bool
) -> State[Any] | None:
    """Say on the server what becomes of a run whose process a signal ended.

    Args:
        client: of the server.
        flow_run_id: of the run.
        killed_by: the signal's number.
        ran_out: whether the machine's memory was at its end.

    Returns:
        its new state: it goes on, or is given up, or was being cancelled; None where it had ended
        before, and its end is known.

    Raises:
        httpx.HTTPError: the server does not answer.
        ObjectNotFound: the run was deleted.
    """
    run = client.read_flow_run(flow_run_id)
    if run.state is None or run.state.is_final() or run.state.is_scheduled():
        return None
    state: State[Any]
    if run.state.is_cancelling():
        state = Cancelled(message=translated("Its process was ended."))
    else:
        kills = count(run.labels, KILLS_LABEL) + 1
        memory_kills = count(run.labels, MEMORY_KILLS_LABEL)
        # Nobody may have seen why; but what is killed twice is likely to want too much.
        if killed_by == signal.SIGKILL and (ran_out or kills > 1):
            memory_kills += 1
        is_over = kills > _MOST_KILLS
        # Whoever starts it again by hand gives it as many chances.
        labels: dict[str, bool | int | float | str] = {
            KILLS_LABEL: 0 if is_over else kills,
            MEMORY_KILLS_LABEL: memory_kills,
        }
        client.update_flow_run_labels(flow_run_id, labels)
        state = _given_up(kills, killed_by) if is_over else _going_on(kills, killed_by)
    client.set_flow_run_state(flow_run_id, state, force=True)
    return state


def count(labels: Mapping[str, Any], name: str) -> int:
    """A number among a run's labels; 0 where there is none."""
    value = labels.get(name, 0)
    return value if isinstance(value, int) else 0


def _going_on(kills: int, killed_by: int) -> State[Any]:
    message = translated(
        "Its process was killed ({signal}; {kills} of at most {most} times): "
        "it goes on with the chunks that are missing."
    ).format(signal=_name(killed_by), kills=kills, most=_MOST_KILLS)
    return AwaitingRetry(scheduled_time=datetime.now(UTC), message=message)


def _given_up(kills: int, killed_by: int) -> State[Any]:
    message = translated(
        "Its process was killed {kills} times, last by {signal}: it is given up. Look for what "
        "ends it (often memory: the kernel's log says so); Retry goes on with the chunks that are "
        "missing."
    ).format(signal=_name(killed_by), kills=kills)
    return Failed(message=message)


def _name(killed_by: int) -> str:
    try:
        return signal.Signals(killed_by).name
    except ValueError:  # a real-time signal
        return str(killed_by)
