"""A worker's place among the others: the process in it, its task, and what came of it so far."""

from typing import NamedTuple

from longscribe.task_runner.any_worker import AnyWorker
from longscribe.task_runner.effort import Effort, Patience
from longscribe.task_runner.job import Job, TaskTraits
from longscribe.wording.catalog import translated

# Before its first task; a large model on a slow disk, or one that another process converts, takes
# less. All kernels are compiled there once, some passes of which take ten seconds.
_WHILE_IT_BEGINS = Patience(computing_s=300.0, waiting_s=900.0)


class Verdict(NamedTuple):
    """Why a worker is ended, for people.

    Attributes:
        reason: in short.
        message: of the log, with places for a task's name, seconds and a pid.
        seconds: for the message.
    """

    reason: str
    message: str
    seconds: float


class Place:
    """A worker and what it is at, as the supervising thread knows it.

    Attributes:
        worker: in this place.
        job: that it is at.
        since_s: it has been so, on the machine's monotonic clock.
        effort: since then, or since it was wanted.
    """

    def __init__(self, worker: AnyWorker, now_s: float) -> None:
        self.worker = worker
        self.job: Job | None = None
        self.since_s = 0.0
        self.effort = Effort(now_s)

    def look(self, now_s: float) -> None:
        """See how far it is."""
        self.effort.look(now_s, self.worker.vitals)

    def verdict(self, traits: TaskTraits) -> Verdict | None:
        """Why its worker is to be ended, if it is."""
        assert self.job is not None
        limit_s = traits.limit_s(self.job.order.parameters, self.job.deaths)
        if traits.patience is not None and self.effort.is_beyond(traits.patience):
            return Verdict(
                translated("no progress"),
                translated("%s shows no progress for %.0f s: its worker, pid %d, is ended"),
                self.effort.idle_s,
            )
        if self.effort.own_s > limit_s:
            return Verdict(
                translated("past its limit"),
                translated("%s is past its limit of %.0f s: its worker, pid %d, is ended"),
                limit_s,
            )
        return None

    @property
    def begins_in_vain(self) -> bool:
        """Whether it should have been ready long ago."""
        return not self.worker.ready and self.effort.is_beyond(_WHILE_IT_BEGINS)
