"""A run that is stopped ends as stopped, wherever the signal reached it."""

import signal

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer

from tasks.stopping import leaving_quickly, stop_behind


class Interrupted(BaseModel):
    """Ctrl-C comes while it is being serialized."""

    @model_serializer(mode="wrap")
    def _serialize(self, _: SerializerFunctionWrapHandler) -> dict[str, str]:
        signal.raise_signal(signal.SIGINT)
        return {}


def test_ctrl_c_within_pydantic_stops_the_run() -> None:
    @flow(name="interrupted")
    @leaving_quickly
    def run() -> None:
        Interrupted().model_dump()

    with pytest.raises(KeyboardInterrupt):
        run()
    with get_client(sync_client=True) as client:
        ours = [one for one in client.read_flow_runs() if one.state_name == "Crashed"]
    assert ours


def test_an_ordinary_error_is_no_stop() -> None:
    error = ValueError("outer")
    error.__cause__ = OSError("inner")
    assert stop_behind(error) is None
