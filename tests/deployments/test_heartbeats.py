"""A worker's heartbeats for the runs that it has carried out."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import temporary_settings

from longscribe.deployments import heartbeats
from longscribe.deployments.heartbeats import beating


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(heartbeats, "emit_event", lambda **event: sent.append(event))
    return sent


def run_for(seconds: float, first_after_s: float) -> FlowRun:
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="talk")

    async def story() -> None:
        async with beating(run, first_after_s):
            await asyncio.sleep(seconds)
        await asyncio.sleep(0.05)

    asyncio.run(story())
    return run


def test_the_run_is_named_as_prefect_s_automation_wants_it(beats: list[dict[str, Any]]) -> None:
    with temporary_settings({"flows.heartbeat_frequency": 30}):
        run = run_for(0.1, first_after_s=0.0)
    (beat,) = beats
    assert beat["event"] == "prefect.flow-run.heartbeat"
    assert beat["resource"]["prefect.resource.id"] == f"prefect.flow-run.{run.id}"


def test_a_clip_has_none(beats: list[dict[str, Any]]) -> None:
    with temporary_settings({"flows.heartbeat_frequency": 30}):
        run_for(0.1, first_after_s=5.0)
    assert beats == []


def test_none_where_prefect_is_told_to_send_none(beats: list[dict[str, Any]]) -> None:
    with temporary_settings({"flows.heartbeat_frequency": None}):
        run_for(0.1, first_after_s=0.0)
    assert beats == []
