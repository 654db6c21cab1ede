"""Workers that wait for the next run of this process, with all that they have got ready."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import psutil

from longscribe.task_runner.executor import SurvivingExecutor
from longscribe.task_runner.worker import Setup


class Staff(NamedTuple):
    """What a run wants of workers: those of another that wanted just this will do.

    Attributes:
        workers: processes, at most.
        setup: what they begin with.
    """

    workers: int
    setup: Setup


class _Kept:
    """At most one run's."""

    def __init__(self) -> None:
        self._staff: Staff | None = None
        self._executor: SurvivingExecutor | None = None

    def start(self, staff: Staff) -> None:
        self.let_go()
        self._staff, self._executor = staff, SurvivingExecutor(*staff)
        self._executor.warm_up()

    def take(self, staff: Staff) -> SurvivingExecutor | None:
        if staff != self._staff:
            self.let_go()
        executor, self._staff, self._executor = self._executor, None, None
        return executor

    def keep(self, staff: Staff, executor: SurvivingExecutor) -> bool:
        if not executor.rest():
            return False
        self.let_go()
        self._staff, self._executor = staff, executor
        return True

    def held_bytes(self) -> int:
        held = 0
        for pid in self._executor.pids if self._executor else ():
            with suppress(psutil.Error):
                held += psutil.Process(pid).memory_full_info().uss
        return held

    def let_go(self) -> None:
        executor, self._staff, self._executor = self._executor, None, None
        if executor is not None:
            executor.shutdown_at_once()  # they have nothing more to say


_kept: _Kept | None = None  # while somebody wants workers kept


@contextmanager
def keeping_workers() -> Iterator[None]:
    """While the block lasts, the workers of a run that went well wait for the next.

    One run at a time. They leave with the block, or where the next run wants others.
    """
    global _kept
    _kept = _Kept()
    try:
        yield
    finally:
        kept, _kept = _kept, None
        kept.let_go()


def start_early(staff: Staff) -> None:
    """Within `keeping_workers`: start the workers of a run that is about to begin."""
    if _kept is not None:
        _kept.start(staff)


def executor_for(staff: Staff) -> SurvivingExecutor:
    """One with workers that are ready where they were kept, and whose first come later else."""
    kept = _kept.take(staff) if _kept else None
    return kept or SurvivingExecutor(*staff)


def kept_bytes() -> int:
    """Memory that goes to the next run's workers, or is free when those that have it leave."""
    return _kept.held_bytes() if _kept else 0


def keep(staff: Staff, executor: SurvivingExecutor) -> bool:
    """After a run that went well; whether its workers are kept, and not the caller's to end."""
    return _kept is not None and _kept.keep(staff, executor)
