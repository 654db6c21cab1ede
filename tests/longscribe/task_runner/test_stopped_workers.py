"""Workers and their fork server that a signal stopped: tasks do not wait for them."""

import os
import signal
import time
from pathlib import Path

import pytest
from prefect import flow, task

from longscribe.task_runner import executor
from tests.longscribe.task_runner.deeds import COUNT, HANGS_S, a_runner, attempts, run_pieces

ALL = list(range(COUNT))


def test_a_worker_stopped_in_its_task_is_past_its_limit_too(tmp_path: Path) -> None:
    ran = run_pieces(tmp_path, {0: ["halt"], 3: ["halt"]}, limit_s=6.0)
    assert sorted(ran.results) == ALL


def test_a_task_whose_worker_is_stopped_does_not_wait_for_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_STOPPED_AT_TASK_S", 3.0)
    started_s = time.monotonic()
    ran = run_pieces(tmp_path, {0: ["halt"], 3: ["halt"]}, limit_s=10 * HANGS_S)
    assert time.monotonic() - started_s < HANGS_S
    assert sorted(ran.results) == ALL
    assert sorted(attempts(tmp_path)) == [0, 0, 1, 2, 3, 3]


def test_a_worker_stopped_while_it_waits_is_replaced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @task
    def nothing() -> int:
        return os.getpid()

    @flow(persist_result=False)
    def run() -> int:
        with a_runner(1):
            pid = nothing.submit().result()
            os.kill(pid, signal.SIGSTOP)
            return int(nothing.submit().result() != pid)

    started_s = time.monotonic()
    assert run() == 1
    assert time.monotonic() - started_s < HANGS_S
    assert "is stopped while it is needed: it is ended" in capfd.readouterr().out


def test_a_stopped_fork_server_does_not_keep_new_workers_away(tmp_path: Path) -> None:
    started_s = time.monotonic()
    ran = run_pieces(tmp_path, {1: ["halt server"]})
    assert time.monotonic() - started_s < HANGS_S
    assert sorted(ran.results) == ALL
