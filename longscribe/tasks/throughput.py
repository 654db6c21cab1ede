"""How much was transcribed in the last hour, by all workers: hours of recording per hour.

Each run leaves the length of its recording on the server, as a label of the flow run.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectHTTPStatusError

from longscribe.tasks.current_run import current_run

SOUND_LABEL: Final = "longscribe.sound-s"

_PAGE: Final = 200
_FLOW: Final = "transcribe"


class Throughput(NamedTuple):
    """What was done within some time.

    Attributes:
        recordings: whose runs ended Completed.
        sound_s: of them together.
        within_s: the time.
    """

    recordings: int
    sound_s: float
    within_s: float

    @property
    def hours_per_hour(self) -> float:
        """Hours of recording for each hour of time."""
        return self.sound_s / self.within_s


def note_sound(duration_s: float) -> None:
    """Leave the length of this run's recording on the server; not there, it is not counted."""
    run = current_run()
    if run is None:
        return
    with suppress(httpx.HTTPError, PrefectHTTPStatusError), get_client(sync_client=True) as client:
        client.update_flow_run_labels(run.id, {SOUND_LABEL: round(duration_s, 3)})


def throughput(within_s: float = 3600.0) -> Throughput:
    """What all runs together did until now.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    since = datetime.now(UTC) - timedelta(seconds=within_s)
    ended = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED])),
        end_time=FlowRunFilterEndTime(after_=since),  # type: ignore[arg-type]  # any datetime does
    )
    recordings, sound_s = 0, 0.0
    with get_client(sync_client=True) as client:
        while True:
            page = client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[_FLOW])),
                flow_run_filter=ended,
                limit=_PAGE,
                offset=recordings,
            )
            recordings += len(page)
            sound_s += sum(float(run.labels.get(SOUND_LABEL) or 0.0) for run in page)
            if len(page) < _PAGE:
                return Throughput(recordings, sound_s, within_s)
