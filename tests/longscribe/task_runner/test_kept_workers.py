"""Workers that wait for the next run, and those that do not."""

import os
import signal
from typing import Any

import psutil
import pytest
from prefect import flow, task
from prefect.logging import get_run_logger

from longscribe.task_runner import Setup, Staff, keeping_workers, kept_bytes, start_early
from tests.eventually import eventually
from tests.longscribe.task_runner.deeds import a_runner

MODULE = "tests.longscribe.task_runner.deeds"


@task
def pid(number: int) -> int:
    get_run_logger().warning("number %d said", number)
    return os.getpid()


class _Printer:
    def __call__(self, message_type: str, message_payload: Any) -> tuple[str, Any]:
        if message_type == "log":
            print(message_payload["message"], flush=True)
        return message_type, message_payload


@flow(persist_result=False)
def run(number: int, workers: int = 1, fails: bool = False) -> int:
    with a_runner(workers, processors=[_Printer]):
        found = int(pid.submit(number).result())
        if fails:
            raise ValueError("broken")
        return found


def test_the_next_run_finds_them_and_all_that_was_said_belongs_to_its_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with keeping_workers():
        first = run(1)
        assert "number 1 said" in capfd.readouterr().out
        assert kept_bytes() > 10_000_000
        assert run(2) == first
        assert "number 2 said" in capfd.readouterr().out
        assert psutil.pid_exists(first)
    assert not psutil.pid_exists(first)
    assert kept_bytes() == 0


def test_without_anybody_who_keeps_them_they_leave() -> None:
    first = run(1)
    assert not psutil.pid_exists(first)
    assert run(2) != first


def test_a_run_that_wants_others_or_finds_them_dead_gets_new_ones() -> None:
    with keeping_workers():
        first = run(1)
        assert run(2, workers=2) != first
        assert not psutil.pid_exists(first)
        second = run(3)
        os.kill(second, signal.SIGKILL)
        assert run(4) != second


def test_those_of_a_run_that_failed_are_ended() -> None:
    with keeping_workers():
        first = run(1)
        with pytest.raises(ValueError, match="broken"):
            run(2, fails=True)
        assert not psutil.pid_exists(first)
        assert run(3) != first


def test_they_may_be_started_before_the_run_begins() -> None:
    with keeping_workers():
        start_early(Staff(1, Setup(None, (), (MODULE,))))
        children = psutil.Process().children
        assert eventually(lambda: kept_bytes(), bool, within_s=60.0)
        before = {child.pid for child in children(recursive=True)}
        assert run(1) in before
