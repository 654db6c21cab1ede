"""Workers that die, hang, are stopped or ask to exit: what was lost runs again, and only that."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL

from longscribe.runtime.worker_slot import worker_slot
from longscribe.task_runner import LostTask, executor, scarce_memory
from tests.eventually import eventually
from tests.longscribe.task_runner.deeds import (
    COUNT,
    HANGS_S,
    Traits,
    a_runner,
    attempts,
    run_pieces,
)

ALL = list(range(COUNT))


def test_a_killed_worker_costs_its_own_task_only(tmp_path: Path) -> None:
    ran = run_pieces(tmp_path, {1: ["die"]})
    assert sorted(ran.results) == ALL
    assert sorted(attempts(tmp_path)) == [0, 1, 1, 2, 3]
    assert attempts(tmp_path)[-1] == 1  # it runs again when all others are done
    assert ran.workers == 2


def test_it_runs_again_under_the_same_task_run(tmp_path: Path) -> None:
    @task(task_run_name="the same again")
    def once() -> int:
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1

    @flow(persist_result=False)
    def run() -> int:
        with a_runner(1):
            return int(once.submit().result())

    assert run() == 1

    def seen() -> list[str]:
        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(limit=200)
        return [str(one.state_name) for one in runs if one.name == "the same again"]

    assert eventually(seen, lambda rows: rows == ["Completed"]) == ["Completed"]


def test_a_task_that_kills_every_worker_is_given_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run_pieces(tmp_path, {0: ["die"] * 9})
    assert sorted(ran.results) == [1, 2, 3]
    assert isinstance(ran.errors[0], LostTask)
    assert str(ran.errors[0]) == "its worker died 3 times (killed by SIGKILL)"
    assert attempts(tmp_path).count(0) == 3
    assert "Piece 0 lost its worker (killed by SIGKILL): it runs again" in capfd.readouterr().out


def test_no_task_is_blamed_for_the_death_of_the_fork_server(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run_pieces(tmp_path, {1: ["orphan"] * 4})
    assert sorted(ran.results) == ALL
    out, err = capfd.readouterr()
    assert "the process that workers are forked from died" in out
    assert "lost its worker" not in out
    assert err == ""


def test_one_past_its_limit_is_ended_and_runs_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    started_s = time.monotonic()
    ran = run_pieces(tmp_path, {2: ["hang"]}, limit_s=6.0)
    assert time.monotonic() - started_s < HANGS_S
    assert sorted(ran.results) == ALL
    assert attempts(tmp_path).count(2) == 2
    assert "Piece 2 is past its limit of 6 s" in capfd.readouterr().out


def test_one_that_replaces_another_has_its_slot(tmp_path: Path) -> None:
    @task
    def slot(number: int) -> int:
        first = not (tmp_path / "0").exists()
        (tmp_path / str(number)).touch()
        if number == 0 and first:
            meet(1)
            os.kill(os.getpid(), signal.SIGKILL)
        if number > 1:  # the last two are under way at once
            meet(5 - number)
        return worker_slot()

    def meet(other: int) -> None:
        assert eventually((tmp_path / str(other)).exists, bool, within_s=60.0)

    @flow(persist_result=False)
    def run() -> list[int]:
        with a_runner(2):
            return [future.result() for future in slot.map([0, 1, 2, 3])]

    assert set(run()[2:]) == {0, 1}


def test_one_that_died_while_it_waited_costs_nothing(tmp_path: Path) -> None:
    @task
    def nothing() -> int:
        return os.getpid()

    @flow(persist_result=False)
    def run() -> bool:
        with a_runner(1):
            pid = nothing.submit().result()
            os.kill(pid, signal.SIGKILL)
            return bool(nothing.submit().result() != pid)

    assert run()


SCRIPT = """
import sys
from pathlib import Path
from tests.longscribe.task_runner.deeds import run_pieces

if __name__ == "__main__":
    slow = {index: ["slow"] for index in range(4)}
    print(sorted(run_pieces(Path(sys.argv[1]), slow, limit_s=20.0).results))
"""


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
    }


def test_a_run_that_was_stopped_as_a_whole_goes_on_with_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        try:
            assert eventually((tmp_path / "attempts").exists, bool, within_s=120.0)
            for _ in range(2):  # Ctrl-Z, then `fg`; together longer than the limit
                os.killpg(run.pid, signal.SIGSTOP)
                time.sleep(11)
                os.killpg(run.pid, signal.SIGCONT)
                time.sleep(1)
            said, _ = run.communicate(timeout=200)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
    assert "[0, 1, 2, 3]" in said
    assert "ended" not in said
    assert sorted(attempts(tmp_path)) == [0, 1, 2, 3]


def test_a_task_that_asks_to_exit_does_not_hang_the_run(tmp_path: Path) -> None:
    ran = run_pieces(tmp_path, {3: ["leave"]})
    assert sorted(ran.results) == ALL


def test_a_worker_that_lost_its_gpu_is_replaced_and_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run_pieces(tmp_path, {1: ["lose gpu"]}, processors=[_Printer])
    assert sorted(ran.results) == ALL
    said = capfd.readouterr().out
    assert "Piece 1 lost its GPU" in said
    assert "lost its worker (the GPU failed): it runs again" in said


class _Printer:
    def __call__(self, message_type: str, message_payload: Any) -> tuple[str, Any]:
        if message_type == "log":
            print(message_payload["message"], flush=True)
        return message_type, message_payload


def test_one_that_fails_is_prefect_s_to_retry(tmp_path: Path) -> None:
    ran = run_pieces(tmp_path, {1: ["fail"]})
    assert isinstance(ran.errors[1], ValueError)
    assert attempts(tmp_path).count(1) == 1


@pytest.mark.parametrize("how", ["die", "orphan"])
def test_memory_that_ran_out_means_fewer_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whether the kernel took a worker, or the process that it was forked from."""
    monkeypatch.setattr(scarce_memory, "out_of_memory_kills", _one_more().__next__)
    ran = run_pieces(tmp_path, {0: [how]})
    assert sorted(ran.results) == ALL
    assert ran.workers == 1


def test_the_last_worker_is_told_to_halve_its_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scarce_memory, "out_of_memory_kills", _one_more().__next__)
    ran = run_pieces(tmp_path, {0: ["die"]}, workers=1)
    assert (ran.workers, ran.results[0]) == (1, 1)


def _one_more() -> Iterator[int]:
    yield 0
    while True:
        yield 1


def test_workers_that_never_start_end_the_run_s_hope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_LOSSES_IN_A_ROW", 2)
    ran = run_pieces(tmp_path, {}, initializer=sys.exit)
    assert sorted(ran.errors) == ALL
    assert "workers do not stay alive" in str(ran.errors[0])


def test_a_task_that_cannot_be_sent_fails_and_the_others_do_not(tmp_path: Path) -> None:
    @task
    def take(one: Any) -> int:
        return len(str(one))

    @flow(persist_result=False)
    def run() -> tuple[int, str]:
        with a_runner(1):
            good, bad = take.submit("good"), take.submit(threading.Lock())
            with pytest.raises(TypeError) as caught:
                bad.result()
            return good.result(), str(caught.value)

    length, said = run()
    assert length == 4
    assert "pickle" in said


def test_traits_that_fail_do_not_hang_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(Traits):
        def finished(self, parameters: Mapping[str, Any], seconds: float) -> None:
            raise KeyError("no such parameter")

    @task
    def nothing(number: int) -> int:
        return number

    @flow(persist_result=False)
    def run() -> list[Any]:
        with a_runner(1, traits=Broken()):
            return [future.result() for future in nothing.map([1, 2, 3])]

    with pytest.raises(LostTask, match="no such parameter"):
        run()
    assert "The supervisor of the workers failed" in capfd.readouterr().err


def test_an_error_in_the_block_ends_the_workers_at_once() -> None:
    @task
    def sleep_long() -> None:
        time.sleep(HANGS_S)

    pids: list[int] = []

    @flow(persist_result=False)
    def run() -> None:
        with a_runner(2) as runner:
            for _ in range(4):
                sleep_long.submit()
            assert len(eventually(runner.under_way, lambda at: len(at) == 2, within_s=60.0)) == 2
            pids.extend(runner.pids)
            raise KeyError("stop here")

    started_s = time.monotonic()
    with pytest.raises(KeyError):
        run()
    assert time.monotonic() - started_s < HANGS_S
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_all_workers_are_started_before_there_is_a_task() -> None:
    @flow(persist_result=False)
    def run() -> bool:
        with a_runner(3) as runner:
            runner.warm_up()
            return len(eventually(lambda: runner.pids, lambda at: len(at) == 3, 60.0)) == 3

    assert run()


def test_outside_the_block_the_flow_s_own_runner_is_used() -> None:
    @task
    def pid() -> int:
        return os.getpid()

    @flow(persist_result=False)
    def run() -> tuple[int, int]:
        with a_runner(1):
            there = pid.submit().result()
        return there, pid.submit().result()

    there, here = run()
    assert here == os.getpid() != there


KILLED = """
import sys, time
from pathlib import Path
from prefect import flow, task
from longscribe.task_runner import SurvivingTaskRunner

@task
def sleep_long(number):
    Path(sys.argv[1], str(number)).touch()
    time.sleep(600)

@flow
def run():
    with SurvivingTaskRunner(2):
        [future.wait() for future in sleep_long.map([1, 2])]

if __name__ == "__main__":
    run()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_a_run_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    at_work = [tmp_path / "1", tmp_path / "2"]
    assert eventually(lambda: all(path.exists() for path in at_work), bool, within_s=120.0)
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) >= 4  # its resource tracker, its fork server, and two workers of that
    run.send_signal(how)
    _, alive = psutil.wait_procs(children, timeout=60)
    run.kill()
    run.wait(10)
    assert not alive
