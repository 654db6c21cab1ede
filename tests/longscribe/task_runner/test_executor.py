"""The executor with workers of other machines, which are none here."""

import itertools
import threading
from concurrent.futures import BrokenExecutor, Future, wait

import pytest

from longscribe.task_runner import LostTask
from longscribe.task_runner.effort import Vitals
from longscribe.task_runner.executor import SurvivingExecutor
from longscribe.task_runner.inside import Outcome
from longscribe.task_runner.job import Job
from longscribe.task_runner.worker import Setup
from longscribe.task_runner.worker_ends import WORKER_LEFT

OF_A_MACHINE = 16


class Elsewhere:
    """A worker of another machine.

    Args:
        slot: among the workers.
        machine: that it is on: those that wait for it to fail; None for one that stands.
    """

    ready = False
    is_alive = True
    is_stopped = False
    vitals: Vitals | None = None

    def __init__(self, slot: int, machine: "Machine | None") -> None:
        self.slot = slot
        self.pid: int | None = slot + 1
        self._machine = machine

    def start(self) -> Future[int]:
        ready: Future[int] = Future()
        ready.set_result(self.slot)
        return ready

    def give(self, job: Job, halvings: int) -> Future[Outcome]:
        doing: Future[Outcome] = Future()
        if self._machine is None:
            doing.set_result(Outcome(result=job.call()))
        else:
            self._machine.take(doing)
        return doing

    def hear_out(self) -> bool:
        return False

    def kill(self) -> None:
        pass

    def bury(self) -> int:
        return WORKER_LEFT

    def leave(self) -> None:
        pass


class Machine:
    """Fails as a whole when all its workers are at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._doing: list[Future[Outcome]] = []

    def take(self, doing: Future[Outcome]) -> None:
        with self._lock:
            self._doing.append(doing)
            if len(self._doing) < OF_A_MACHINE:
                return
            lost, self._doing = self._doing, []
        for one in lost:
            one.set_exception(BrokenExecutor("gone"))


def executor_on(machines: int) -> SurvivingExecutor:
    """Its first workers are on machines that fail, one after the other; the later ones stand."""
    failing = itertools.chain.from_iterable([Machine()] * OF_A_MACHINE for _ in range(machines))
    return SurvivingExecutor(
        OF_A_MACHINE, Setup(None, (), ()), lambda slot: Elsewhere(slot, next(failing, None)), 2
    )


def answers(executor: SurvivingExecutor) -> list[Future[bytes]]:
    """What becomes of three tasks for each worker."""
    futures = [executor.submit(str(number).encode) for number in range(3 * OF_A_MACHINE)]
    assert not wait(futures, timeout=30).not_done
    executor.shutdown()
    return futures


def test_a_machine_that_fails_with_sixteen_workers_costs_no_task() -> None:
    found = [future.result() for future in answers(executor_on(1))]
    assert found == [str(number).encode() for number in range(3 * OF_A_MACHINE)]


def test_where_all_workers_are_lost_twice_in_a_row_the_rest_is_given_up() -> None:
    found = answers(executor_on(9))
    with pytest.raises(LostTask, match="workers do not stay alive"):
        found[-1].result()
