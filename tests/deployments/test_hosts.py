"""The worker's side of the processes that carry out runs."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from longscribe.deployments import hosts as module
from longscribe.deployments.hosts import Hosts, RunInHost
from tests.eventually import eventually


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MODULE", "tests.deployments.fake_host")
    # A host is started with -P, and finds what is installed: the tests are not.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def within_worker(story: Callable[[Hosts], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        hosts = Hosts(60.0)
        try:
            await story(hosts)
        finally:
            await hosts.close()

    asyncio.run(all_of_it())


async def carried_out(hosts: Hosts, **environment: str) -> RunInHost:
    host = await hosts.take()
    run = RunInHost(host.pid)
    await host.carry_out(run, uuid4(), environment)
    await hosts.give_back(host, run)
    return run


def test_the_next_run_finds_the_same_process_and_it_ends_with_the_worker() -> None:
    pids = []

    async def story(hosts: Hosts) -> None:
        await hosts.start_one()
        runs = [await carried_out(hosts), await carried_out(hosts, CODE="1")]
        assert [run.failed_with for run in runs] == [None, 1]
        pids.extend(run.pid for run in runs)

    within_worker(story)
    assert pids[0] == pids[1]
    assert eventually(lambda: psutil.pid_exists(pids[0]), lambda there: not there) is False


def test_two_runs_at_once_have_one_each() -> None:
    async def story(hosts: Hosts) -> None:
        first, second = await hosts.take(), await hosts.take()
        assert first.pid != second.pid
        for host in (first, second):
            run = RunInHost(host.pid)
            await host.carry_out(run, uuid4(), {})
            await hosts.give_back(host, run)

    within_worker(story)


def test_one_that_is_killed_is_replaced_and_its_run_is_ours_to_take_up() -> None:
    async def story(hosts: Hosts) -> None:
        killed = await carried_out(hosts, KILL=str(int(signal.SIGKILL)))
        assert (killed.failed_with, killed.returncode) == (-signal.SIGKILL, 0)
        after = await carried_out(hosts)
        assert (after.failed_with, after.returncode) == (None, 0)
        assert after.pid != killed.pid

    within_worker(story)


def test_one_that_is_killed_between_runs_costs_nothing() -> None:
    async def story(hosts: Hosts) -> None:
        first = await carried_out(hosts)
        psutil.Process(first.pid).kill()
        await asyncio.sleep(0.2)
        after = await carried_out(hosts)
        assert after.returncode == 0
        assert after.pid != first.pid

    within_worker(story)


def test_one_that_leaves_without_an_answer_has_failed() -> None:
    async def story(hosts: Hosts) -> None:
        run = await carried_out(hosts, LEAVE="0")
        assert (run.failed_with, run.returncode) == (1, 0)
        assert (await carried_out(hosts, GO="1")).pid != (await carried_out(hosts)).pid

    within_worker(story)


def test_a_signal_for_a_run_that_is_over_reaches_nobody() -> None:
    async def story(hosts: Hosts) -> None:
        run = await carried_out(hosts)
        assert not run.is_alive(run.pid)
        run.send_signal(signal.SIGKILL)
        assert (await carried_out(hosts)).pid == run.pid

    within_worker(story)
