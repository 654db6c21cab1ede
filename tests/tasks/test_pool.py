"""Workers keep to their threads, and are gone when the run is, however it ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from prefect import flow, task

from benchmarks.process_tree import is_worker
from longscribe.runtime.machine import Sizing
from longscribe.tasks.fork_server import fork_server_pid
from longscribe.tasks.pool import Workers, worker_pool


def sizing(workers: int, threads: int) -> Sizing:
    return Sizing(
        workers=workers, threads_per_worker=threads, memory_per_worker_bytes=1, batch_size=8
    )


@task
def threads_in_use() -> tuple[int, int, list[int]]:
    import torch
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info()]
    return torch.get_num_threads(), torch.get_num_interop_threads(), pools


@task
def sleep_long() -> None:
    time.sleep(120)


def test_torch_and_every_other_thread_pool_are_capped() -> None:
    @flow
    def ask() -> tuple[int, int, list[int]]:
        with worker_pool(sizing(1, 1)) as pool:
            return pool.submit(threads_in_use, {}).result()

    before = os.environ.get("OMP_NUM_THREADS")
    torch_threads, interop_threads, others = ask()
    assert (torch_threads, interop_threads) == (1, 1)
    assert set(others) == {1}
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_an_error_in_the_run_ends_its_workers_at_once() -> None:
    @flow
    def break_off() -> None:
        with worker_pool(sizing(2, 1)) as pool:
            futures = [pool.submit(sleep_long, {}) for _ in range(4)]
            assert len(futures) == 4
            while len(multiprocessing.active_children()) < 2:
                time.sleep(0.1)
            raise KeyError("stop here")

    started_s = time.monotonic()
    with pytest.raises(KeyError):
        break_off()
    assert multiprocessing.active_children() == []
    assert time.monotonic() - started_s < 30


def test_workers_whose_fork_server_died_are_ended_and_others_come() -> None:
    @flow
    def run() -> int:
        workers = Workers(sizing(1, 1))
        with workers:
            workers.start().submit(sleep_long, {})
            while not workers.pids:
                workers.look()
                time.sleep(0.05)
            worker = psutil.Process(workers.pids[0])
            fork_server = worker.parent()
            assert is_worker(worker)
            assert fork_server is not None
            fork_server.kill()
            give_up_s = time.monotonic() + 10
            while not workers.died():
                assert time.monotonic() < give_up_s
            assert worker.is_running()
            workers.stop(at_once=True)
            worker.wait(5)
            return int(workers.start().submit(threads_in_use, {}).result()[0])

    assert run() == 1


def test_workers_that_die_while_others_start_leave_their_fork_server_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("longscribe.tasks.pool.start_worker", sys.exit)

    @flow
    def run() -> set[int | None]:
        servers = set()
        for _ in range(10):
            with worker_pool(sizing(4, 1)) as pool:
                with pytest.raises(BrokenProcessPool):
                    pool.submit(sleep_long, {}).result()
                servers.add(fork_server_pid())
        return servers

    (server,) = run()
    assert psutil.Process(server).status() != psutil.STATUS_ZOMBIE


def test_all_workers_are_started_before_there_is_a_chunk() -> None:
    @flow
    def run() -> bool:
        with worker_pool(sizing(3, 1)):
            give_up_s = time.monotonic() + 30
            while len(multiprocessing.active_children()) < 3 and time.monotonic() < give_up_s:
                time.sleep(0.05)
            return len(multiprocessing.active_children()) == 3

    assert run()


@pytest.mark.parametrize("threads", [1, 2])
def test_kernels_use_the_worker_s_threads(threads: int) -> None:
    @flow
    def ask() -> tuple[int, int]:
        with worker_pool(sizing(1, threads)) as pool:
            return pool.submit(kernel_threads, {}).result()

    assert ask() == (threads, threads)


@task
def kernel_threads() -> tuple[int, int]:
    import numba
    import torch

    return numba.get_num_threads(), torch.get_num_threads()


SCRIPT = """
import time
from prefect import flow
from tests.tasks.test_pool import sizing, sleep_long
from longscribe.tasks.pool import worker_pool

@flow
def run():
    with worker_pool(sizing(2, 1)) as pool:
        futures = [pool.submit(sleep_long, {}) for _ in range(2)]
        [future.wait() for future in futures]

if __name__ == "__main__":
    run()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_a_run_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    from prefect.settings import PREFECT_API_URL

    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    run = subprocess.Popen(
        [sys.executable, str(script)],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = psutil.Process(run.pid)
    deadline_s = time.monotonic() + 60
    workers: list[psutil.Process] = []
    while len(workers) < 2 and time.monotonic() < deadline_s:
        workers = [one for one in process.children(recursive=True) if is_worker(one)]
        time.sleep(0.2)
    assert len(workers) == 2
    run.send_signal(how)
    _, alive = psutil.wait_procs(workers, timeout=5)
    run.kill()
    run.wait(10)
    assert not alive


def test_a_thread_that_is_not_started_yet_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor has it under its name a moment earlier (concurrent/futures/process.py)."""
    workers = Workers(sizing(1, 1))
    executor = SimpleNamespace(_executor_manager_thread=threading.Thread(), _processes={})
    monkeypatch.setattr(workers, "_runner", SimpleNamespace(_executor=executor))
    monkeypatch.setattr("longscribe.tasks.pool._DEAD_WITHIN_S", 0.0)
    assert workers.can_finish
    assert workers.died() == {}
