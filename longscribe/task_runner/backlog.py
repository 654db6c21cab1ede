"""Tasks that wait for a worker: which is next, and when one that lost its worker runs again."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from longscribe.task_runner.job import Job
from longscribe.task_runner.run import Run
from longscribe.wording.catalog import translated

_DEATHS_OF_A_TASK: Final = 3  # of its own worker; then it is given up
_REFUSALS_OF_A_TASK: Final = 3  # its call came back without a result; then it is given up


class Backlog:
    """Tasks in the order of their numbers, then those that lost a worker.

    A task that may be what its workers die of is a suspect: it runs when all others are done, and
    alone. It is one after its first death where all workers are of one machine. Where they are of
    several, a machine that fails takes many along at once, of which none is to blame: only the
    second makes it one.

    Args:
        alone_from: deaths of its workers that make a task a suspect.
    """

    def __init__(self, alone_from: int) -> None:
        self._alone_from = alone_from
        self._waiting: deque[Job] = deque()
        self._suspects: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._suspects)

    def __iter__(self) -> Iterator[Job]:
        yield from (*self._waiting, *self._suspects)

    @property
    def at_once(self) -> int:
        """How many of them can be under way at once."""
        return len(self._waiting) + bool(self._suspects)

    def add(self, job: Job) -> None:
        """One that has not run yet."""
        self._waiting.append(job)

    def put_first(self, job: Job) -> None:
        """One that was not begun after all."""
        self._waiting.appendleft(job)

    def put_back(self, job: Job) -> None:
        """One that lost its worker without blame."""
        self._waiting = deque(sorted((*self._waiting, job), key=lambda one: one.number))

    def put_dead(self, job: Job, how: str, run: Run) -> None:
        """One whose worker died; it is given up after three.

        Args:
            job: itself.
            how: its worker ended, for people.
            run: that it is of.
        """
        job.deaths += 1
        how, job.ended_for = job.ended_for or how, ""
        if job.deaths >= _DEATHS_OF_A_TASK:
            reason = translated("its worker died {deaths} times ({how})")
            job.give_up(reason.format(deaths=job.deaths, how=how))
            return
        alone = self._runs_alone(job)
        (self._suspects if alone else self._waiting).append(job)
        if alone:
            said = translated("%s lost its worker (%s): it runs again, alone")
        else:
            said = translated("%s lost its worker (%s): it runs again")
        run.logger.warning(said, run.traits.name(job.order.parameters), how)

    def put_refused(self, job: Job, error: str) -> None:
        """One whose call came back without a result; it is given up after three."""
        job.refusals += 1
        if job.refusals >= _REFUSALS_OF_A_TASK:
            job.give_up(error)
        else:
            self._suspects.append(job)

    def next(self, under_way: Sequence[Job]) -> Job | None:
        """The one that runs next beside others, taken out; None where none may now."""
        if any(self._runs_alone(job) for job in under_way):
            return None
        for queue in (self._waiting, self._suspects):
            if queue is self._suspects and under_way:
                return None
            while queue:
                job = queue.popleft()
                if not job.future.cancelled():
                    return job
        return None

    def give_up(self, reason: str) -> None:
        """None of them will run."""
        for job in self:
            job.give_up(reason)
        self._waiting.clear()
        self._suspects.clear()

    def _runs_alone(self, job: Job) -> bool:
        return job.refusals > 0 or job.deaths >= self._alone_from
