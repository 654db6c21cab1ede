"""Heartbeats of a run, sent by the worker that has it carried out.

Prefect's engine sends them from a thread that sleeps a second at a time, and every run waits for
that thread at its end: half a second on the average (`_send_heartbeats` in prefect/flow_engine.py).
A worker outlives its runs' processes and sees their end, so that its own silence is what is left to
be noticed (`orphaned_runs`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.settings import get_current_settings

_FIRST_AFTER_S: Final = 5.0  # most clips are done by then


@asynccontextmanager
async def beating(flow_run: FlowRun, first_after_s: float = _FIRST_AFTER_S) -> AsyncIterator[None]:
    """While the block lasts, the run's heartbeats are sent, as often as Prefect is told to."""
    every_s = get_current_settings().flows.heartbeat_frequency
    if every_s is None:
        yield
        return
    beats = asyncio.create_task(_beat(flow_run, first_after_s, every_s))
    try:
        yield
    finally:
        beats.cancel()


async def _beat(flow_run: FlowRun, first_after_s: float, every_s: float) -> None:
    await asyncio.sleep(first_after_s)
    while True:
        emit_event(
            event="prefect.flow-run.heartbeat",
            resource={
                "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
                "prefect.resource.name": flow_run.name,
            },
        )
        await asyncio.sleep(every_s)
