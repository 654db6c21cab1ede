"""A run that is stopped ends as stopped, wherever the signal reached it."""

import signal
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticSerializationError

from longscribe.tasks.stopping import leaving_quickly, stop_behind


class Interrupted(BaseModel):
    """A signal comes while it is being serialized."""

    number: int

    @model_serializer(mode="wrap")
    def _serialize(self, _: SerializerFunctionWrapHandler) -> dict[str, str]:
        signal.raise_signal(self.number)
        return {}


class Around(BaseModel):
    """As Prefect's settings are within its context."""

    within: Interrupted

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, str]:
        serialized: dict[str, str] = handler(self)
        return serialized


@pytest.fixture
def handlers() -> Iterator[None]:
    """The command's for SIGTERM: Prefect ends the run, and then passes the signal on.

    And Python's own for Ctrl-C, also where the tests are a job in the background: such a one starts
    with SIGINT ignored.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("number", "stop"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
)
def test_a_signal_within_pydantic_stops_the_run(
    number: signal.Signals, stop: type[BaseException], handlers: None
) -> None:
    ids = []

    @flow(name="interrupted")
    @leaving_quickly
    def run() -> None:
        ids.append(UUID(str(flow_run.id)))
        Around(within=Interrupted(number=number)).model_dump()

    with pytest.raises(stop):
        run()
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(ids[0]).state_name == "Crashed"


def test_an_ordinary_error_is_no_stop() -> None:
    assert stop_behind(ValueError("no: KeyboardInterrupt: no")) is None
    assert stop_behind(PydanticSerializationError("ValueError: no")) is None
