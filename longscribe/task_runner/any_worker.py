"""What the executor asks of a worker, on this machine or elsewhere."""

from concurrent.futures import Future
from typing import Protocol

from longscribe.task_runner.effort import Vitals
from longscribe.task_runner.inside import Outcome
from longscribe.task_runner.job import Job


class AnyWorker(Protocol):
    """Performs one call after the other; its death is nobody else's.

    Attributes:
        slot: its number among the workers there are, from 0.
        pid: what it is known by in tables and messages; None until it is started.
        ready: it can be given a call.
    """

    slot: int
    pid: int | None
    ready: bool

    @property
    def is_alive(self) -> bool:
        """Whether it is there, be it stopped."""

    @property
    def is_stopped(self) -> bool:
        """Whether a signal stopped it, such as SIGSTOP."""

    @property
    def vitals(self) -> Vitals | None:
        """What it has done so far; None where nobody can tell yet."""

    def start(self) -> Future[int]:
        """Begin; the result is there when it is ready."""

    def give(self, job: Job, halvings: int) -> Future[Outcome]:
        """Hand a call over; one at a time."""

    def hear_out(self) -> bool:
        """Whether all that it had to say of its tasks has been forwarded; it is not at one."""

    def kill(self) -> None:
        """End what it is at, now."""

    def bury(self) -> int:
        """After its death, or instead of it: clear up; its exit code, minus a signal's number."""

    def leave(self) -> None:
        """Let it end by itself; it is not at a task."""
