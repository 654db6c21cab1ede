"""The order in which tasks run, and run again."""

import logging
from uuid import UUID

import pytest

from longscribe.task_runner import LostTask
from longscribe.task_runner.backlog import Backlog
from longscribe.task_runner.job import Job, Order
from longscribe.task_runner.run import NOBODY


def job(number: int) -> Job:
    return Job(number, Order(UUID(int=number), "piece", {"number": number}), lambda: b"")


def backlog_of(jobs: list[Job], alone_from: int) -> Backlog:
    backlog = Backlog(alone_from)
    for one in jobs:
        backlog.add(one)
    return backlog


def next_number(backlog: Backlog, under_way: list[Job]) -> int | None:
    found = backlog.next(under_way)
    return None if found is None else found.number


def test_where_one_death_makes_a_suspect_it_runs_last_and_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = [job(number) for number in range(3)]
    backlog = backlog_of(jobs[1:], alone_from=1)
    backlog.put_dead(jobs[0], "killed", NOBODY)
    assert "A task (0) lost its worker (killed): it runs again, alone" in caplog.text
    assert (len(backlog), backlog.at_once) == (3, 3)
    assert [next_number(backlog, []) for _ in range(2)] == [1, 2]
    assert next_number(backlog, [jobs[1]]) is None  # others are under way
    assert next_number(backlog, []) == 0
    backlog.add(jobs[1])
    assert next_number(backlog, [jobs[0]]) is None  # it is under way


def test_where_two_do_those_of_a_machine_that_failed_run_again_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = [job(number) for number in range(16)]
    backlog = backlog_of([], alone_from=2)
    with caplog.at_level(logging.WARNING):
        for one in jobs:
            backlog.put_dead(one, "gone", NOBODY)
    assert "A task (15) lost its worker (gone): it runs again\n" in caplog.text
    assert backlog.at_once == 16
    under_way: list[Job] = []
    while (found := backlog.next(under_way)) is not None:
        under_way.append(found)
    assert under_way == jobs
    backlog.put_dead(jobs[3], "gone", NOBODY)
    assert backlog.next(jobs[:3]) is None
    assert backlog.next([]) is jobs[3]
    backlog.put_dead(jobs[3], "gone", NOBODY)
    with pytest.raises(LostTask, match=r"its worker died 3 times \(gone\)"):
        jobs[3].future.result(timeout=0)


def test_one_that_lost_its_worker_without_blame_keeps_its_turn() -> None:
    jobs = [job(number) for number in range(4)]
    backlog = backlog_of([jobs[1], jobs[3]], alone_from=1)
    backlog.put_back(jobs[2])
    backlog.put_first(jobs[0])
    assert [next_number(backlog, []) for _ in range(5)] == [0, 1, 2, 3, None]


def test_one_that_comes_back_without_a_result_is_given_up_the_third_time() -> None:
    (one,) = jobs = [job(0)]
    backlog = backlog_of([], alone_from=2)
    for _ in range(2):
        backlog.put_refused(one, "no GPU")
        assert backlog.next([job(1)]) is None
        assert backlog.next([]) is one
    backlog.put_refused(one, "no GPU")
    assert len(backlog) == 0
    with pytest.raises(LostTask, match="no GPU"):
        jobs[0].future.result(timeout=0)


def test_cancelled_ones_are_passed_over_and_all_can_be_given_up() -> None:
    jobs = [job(number) for number in range(3)]
    backlog = backlog_of(jobs, alone_from=1)
    jobs[0].future.cancel()
    assert next_number(backlog, []) == 1
    backlog.give_up("no worker is left")
    assert not backlog
    with pytest.raises(LostTask, match="no worker is left"):
        jobs[2].future.result(timeout=0)
