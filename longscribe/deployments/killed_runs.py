"""Runs that broke off, as when the kernel kills for want of memory: taken up again, five times.

Prefect leaves such a run Crashed until somebody starts it again: one whose process was killed, or
ended because the server was away, and one that was not started for that reason. Its finished chunks
are kept, so that it goes on where it was. How often it broke off stands in its labels, on the
server: it outlives the worker.
"""

import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.states import AwaitingRetry, Cancelled, Failed

from longscribe.tasks.current_run import MEMORY_KILLS_LABEL
from longscribe.wording.catalog import translated

KILLS_LABEL: Final = "longscribe.kills"
_MOST_KILLS: Final = 5
_PAUSE_S: Final = 5.0  # more before each further try


def take_up_killed(
    client: SyncPrefectClient, flow_run_id: UUID, failed_with: int | str, *, ran_out: bool = False
) -> State[Any] | None:
    """Say on the server what becomes of a run that broke off.

    Args:
        client: of the server.
        flow_run_id: of the run.
        failed_with: what its process exited with; negative, the signal that ended that; or, in
            words, why it was not started.
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
        if failed_with == -signal.SIGKILL and (ran_out or kills > 1):
            memory_kills += 1
        is_over = kills > _MOST_KILLS
        # Whoever starts it again by hand gives it as many chances.
        labels: dict[str, bool | int | float | str] = {
            KILLS_LABEL: 0 if is_over else kills,
            MEMORY_KILLS_LABEL: memory_kills,
        }
        client.update_flow_run_labels(flow_run_id, labels)
        reason = _reason(failed_with)
        state = _given_up(kills, reason) if is_over else _going_on(kills, reason)
    client.set_flow_run_state(flow_run_id, state, force=True)
    return state


def count(labels: Mapping[str, Any], name: str) -> int:
    """A number among a run's labels; 0 where there is none."""
    value = labels.get(name, 0)
    return value if isinstance(value, int) else 0


def _going_on(kills: int, reason: str) -> State[Any]:
    message = translated(
        "It broke off ({reason}; {kills} of at most {most} times): "
        "it goes on with the chunks that are missing."
    ).format(reason=reason, kills=kills, most=_MOST_KILLS)
    # A server that was away has some time to come back.
    at = datetime.now(UTC) + timedelta(seconds=_PAUSE_S * (kills - 1))
    return AwaitingRetry(scheduled_time=at, message=message)


def _given_up(kills: int, reason: str) -> State[Any]:
    message = translated(
        "It broke off {kills} times, last with {reason}: it is given up. Look for what "
        "ends it (often memory: the kernel's log says so); Retry goes on with the chunks that are "
        "missing."
    ).format(reason=reason, kills=kills)
    return Failed(message=message)


def _reason(failed_with: int | str) -> str:
    if isinstance(failed_with, str):
        return failed_with
    if failed_with >= 0:
        return translated("exit code {code}").format(code=failed_with)
    try:
        return signal.Signals(-failed_with).name
    except ValueError:  # a real-time signal
        return str(-failed_with)
