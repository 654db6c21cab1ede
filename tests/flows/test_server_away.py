"""Stopped while the Prefect server is away, a run ends at once; the next sets its rows right."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.sandbox import Run, Sandbox, Server
from tests.flows.conftest import PROJECT

SYNTHETIC = PROJECT / "demo" / "synthetic.opus"
OPTIONS = ("--workers", "1", "--chunk-minutes", "0.5", "--batch-size", "1")
GONE_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Results of these tests alone, beside the converted weights of all."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), OPTIONS)
    for name in ("weights", "kernels"):
        shared = Path(os.environ["LONGSCRIBE_CACHE"]) / name
        shared.mkdir(exist_ok=True)
        (sandbox.folder / "cache" / name).symlink_to(shared)
    yield sandbox
    for process in sandbox.strays():
        process.kill()


@pytest.fixture(scope="module")
def away(sandbox: Sandbox) -> Iterator[Server]:
    """A server of their own, which they may kill."""
    server = Server(sandbox)
    yield server
    server.kill()


def names_of_states(server: Server) -> list[str]:
    body = {"sort": "EXPECTED_START_TIME_DESC"}
    runs = httpx.post(f"{server.url}/api/flow_runs/filter", json=body).raise_for_status().json()
    return [run["state"]["name"] for run in runs]


def wait_for(run: Run, pattern: str) -> None:
    give_up_s = time.monotonic() + 120.0
    while run.at(pattern) is None:
        assert run.is_alive
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def ended_at_once(run: Run, processes: list[psutil.Process]) -> int:
    """The exit code of a run that was stopped."""
    _, alive = psutil.wait_procs(processes, timeout=GONE_WITHIN_S)
    for process in alive:
        process.kill()
    assert not alive, [said.text for said in run.lines]
    return run.wait(1.0)


@pytest.mark.parametrize(
    ("how", "code", "server_hangs"),
    [
        (signal.SIGTERM, 143, False),
        (signal.SIGINT, 130, False),
        (signal.SIGTERM, 143, True),
    ],
)
def test_it_ends_at_once_and_the_next_run_marks_its_rows(
    sandbox: Sandbox, away: Server, how: signal.Signals, code: int, server_hangs: bool
) -> None:
    sandbox.forget_results()
    run = sandbox.start(SYNTHETIC, server_url=away.url)
    wait_for(run, r"progress \d+ % \(1/")
    if server_hangs:
        away.suspend()
    else:
        away.kill()
    processes = [run.process, *run.processes()]
    run.process.send_signal(how)
    assert ended_at_once(run, processes) == code
    said = [one.text for one in run.lines]
    assert [text for text in said if text.startswith("longscribe: ")] == [
        f"longscribe: '{SYNTHETIC}': stopped; the Prefect server does not answer, so the run stays "
        "Running there until the next one on this machine."
    ]
    assert not any("Traceback" in text for text in said)
    assert sandbox.leftovers()  # its name

    if server_hangs:
        away.resume()
    else:
        away.start()
    assert names_of_states(away)[0] == "Running"
    following = sandbox.start(SYNTHETIC, server_url=away.url)
    assert following.wait(200.0) == 0
    assert following.kept()
    assert names_of_states(away)[:2] == ["Completed", "Crashed"]
    assert sandbox.unfinished_rows(away.url) == 0
    assert sandbox.leftovers() == []


def test_one_that_waits_for_the_server_at_its_end_can_be_stopped(
    sandbox: Sandbox, away: Server
) -> None:
    run = sandbox.start(SYNTHETIC, server_url=away.url)
    wait_for(run, "Merged ")
    away.suspend()
    time.sleep(2.0)
    processes = [run.process, *run.processes()]
    run.process.terminate()
    assert ended_at_once(run, processes) == 143
    away.resume()
    assert sandbox.start(SYNTHETIC, server_url=away.url).wait(200.0) == 0
    assert sandbox.unfinished_rows(away.url) == 0
