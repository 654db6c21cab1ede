"""What is handed over: a task run's call, its future, and what it cost so far."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from longscribe.task_runner.effort import Patience


class LostTask(RuntimeError):
    """A task was given up: its workers died of it, or none stayed alive."""


class TaskTraits(Protocol):
    """What the runner wants to know of tasks; parameters are those of one task run.

    Attributes:
        patience: with one that shows no progress (`advance`); None where tasks never show any.
    """

    patience: Patience | None

    def name(self, parameters: Mapping[str, Any]) -> str:
        """For messages."""

    def limit_s(self, parameters: Mapping[str, Any], deaths: int) -> float:
        """How much of its worker's time it may take, after so many deaths; then that is ended."""

    def finished(self, parameters: Mapping[str, Any], seconds: float) -> None:
        """It came back after so much of its worker's time."""


class Order(NamedTuple):
    """A task run that is handed over: whose call the executor gets."""

    task_run_id: UUID
    name: str
    parameters: Mapping[str, Any]


class UnderWay(NamedTuple):
    """A task run that a worker is at, since a moment of the machine's monotonic clock."""

    pid: int
    task_run_id: UUID
    parameters: Mapping[str, Any]
    since_s: float


class Job:
    """A call, its future, and what it cost so far."""

    def __init__(self, number: int, order: Order, call: Callable[[], bytes]) -> None:
        self.number = number
        self.order = order
        self.call = call
        self.future: Future[bytes] = Future()
        self.deaths = 0
        self.refusals = 0
        self.ended_for = ""  # why its worker was

    def give_up(self, reason: str) -> None:
        """Its future raises `LostTask`."""
        with suppress(InvalidStateError):  # cancelled meanwhile
            self.future.set_exception(LostTask(reason))
