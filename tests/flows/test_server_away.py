"""Stopped while the Prefect server is away, a run ends at once; the next sets its rows right."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.sandbox import Run, Sandbox, Server
from tests.caches import own_cache
from tests.eventually import eventually
from tests.recordings import write_beginning

OPTIONS = ("--workers", "1", "--chunk-minutes", "0.5", "--batch-size", "1")
GONE_WITHIN_S = 20.0  # Prefect would wait for minutes
TO_A_PAUSE_S = 151.0


@pytest.fixture(scope="module")
def sandbox(
    tmp_path_factory: pytest.TempPathFactory, prefect_home: Callable[[Path], Path]
) -> Iterator[Sandbox]:
    """Results of these tests alone."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), OPTIONS)
    own_cache(sandbox.folder / "cache")
    prefect_home(sandbox.folder / "prefect")
    yield sandbox
    for process in sandbox.strays():
        process.kill()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five chunks."""
    return write_beginning(tmp_path_factory.mktemp("recording"), duration_s=TO_A_PAUSE_S)


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
    eventually(
        lambda: run.at(pattern), lambda at: at is not None or not run.is_alive, within_s=200.0
    )
    assert run.at(pattern) is not None
    assert run.is_alive


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
        pytest.param(signal.SIGINT, 130, False, marks=pytest.mark.service),
        pytest.param(signal.SIGTERM, 143, True, marks=pytest.mark.service),
    ],
)
def test_it_ends_at_once_and_the_next_run_marks_its_rows(
    sandbox: Sandbox,
    recording: Path,
    away: Server,
    how: signal.Signals,
    code: int,
    server_hangs: bool,
) -> None:
    sandbox.forget_results()
    run = sandbox.start(recording, server_url=away.url)
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
        f"longscribe: '{recording}': stopped; the Prefect server does not answer, so the run stays "
        "Running there until the next one on this machine."
    ]
    assert not any("Traceback" in text for text in said)
    assert sandbox.leftovers()  # its name

    if server_hangs:
        away.resume()
    else:
        away.start()
    assert names_of_states(away)[0] == "Running"
    following = sandbox.start(recording, server_url=away.url)
    assert following.wait(200.0) == 0
    assert following.kept()
    assert names_of_states(away)[:2] == ["Completed", "Crashed"]
    assert sandbox.unfinished_rows(away.url) == 0
    assert sandbox.leftovers() == []


def test_one_that_waits_for_the_server_at_its_end_can_be_stopped(
    sandbox: Sandbox, recording: Path, away: Server
) -> None:
    run = sandbox.start(recording, server_url=away.url)
    wait_for(run, "Merged ")
    away.suspend()
    time.sleep(2.0)
    processes = [run.process, *run.processes()]
    run.process.terminate()
    assert ended_at_once(run, processes) == 143
    away.resume()
    assert sandbox.start(recording, server_url=away.url).wait(200.0) == 0
    assert sandbox.unfinished_rows(away.url) == 0
