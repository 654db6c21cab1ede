"""Whom an executor works for: one run at a time."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from longscribe.task_runner.effort import Patience
from longscribe.task_runner.job import Order, TaskTraits
from longscribe.task_runner.worker import Forward


class Run(NamedTuple):
    """What a run gives to the executor beside its tasks.

    Attributes:
        traits: of its tasks.
        logger: for what happens to them.
        forward: takes Prefect's messages from workers, on their threads.
        memory_per_worker_bytes: what a worker needs, to tell whether memory ran out.
        order: whose call is handed over, to be asked by the thread that does so.
    """

    traits: TaskTraits
    logger: "logging.Logger | logging.LoggerAdapter[Any]"
    forward: Forward
    memory_per_worker_bytes: int
    order: Callable[[], Order]


class AnyTask:
    """Traits of tasks that nothing is known of: they may take as long as they like."""

    patience: Patience | None = None

    def name(self, parameters: Mapping[str, Any]) -> str:
        """For messages."""
        return f"A task ({', '.join(map(str, parameters.values()))[:40]})"

    def limit_s(self, parameters: Mapping[str, Any], deaths: int) -> float:
        """None."""
        del parameters, deaths
        return float("inf")

    def finished(self, parameters: Mapping[str, Any], seconds: float) -> None:
        """Nothing is learnt from it."""


NOBODY: Final = Run(
    AnyTask(),
    logging.getLogger("longscribe.workers"),
    lambda message: None,
    0,
    lambda: Order(UUID(int=0), "task", {}),
)
