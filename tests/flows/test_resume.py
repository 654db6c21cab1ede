"""Whatever ended a run, the next one does what is missing, and nothing else."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.settings import PREFECT_API_URL

from longscribe.cache.folder import results_folder
from tests.caches import own_cache
from tests.eventually import eventually
from tests.flows.conftest import PROJECT
from tests.recordings import RATE_HZ, beginning, write_beginning
from tests.sounds import write_sound

TO_A_PAUSE_S = 151.0


@pytest.fixture(autouse=True)
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of this test alone."""
    monkeypatch.setenv("LONGSCRIBE_CACHE", str(own_cache(tmp_path / "kept")))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five chunks."""
    return write_beginning(tmp_path_factory.mktemp("recording"), duration_s=TO_A_PAUSE_S)


def started(recording: Path, folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "longscribe.flows.command_line", str(recording)]
    command += ["--model", "demo"]
    command += ["--workers", "1", "--chunk-minutes", "0.5", "--batch-size", "1", *options]
    return started_as(command, folder)


def started_as(command: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "PYTHONPATH": str(PROJECT),
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def lines(run: subprocess.Popen[str]) -> Iterator[str]:
    assert run.stdout is not None
    return iter(run.stdout)


def finish(run: subprocess.Popen[str], code: int = 0) -> str:
    said, _ = run.communicate(timeout=200)
    assert run.returncode == code, said
    return said


def done_and_kept(said: str) -> tuple[int, int]:
    done = re.findall(r"Chunk \d+ of \d+ done: ", said)
    return len(done), said.count("kept from an earlier run: ")


def until_chunks_are_done(run: subprocess.Popen[str], count: int) -> int:
    """Reads a run's log until so many chunks are done; how many chunks there are."""
    for line in lines(run):
        if found := re.search(rf"progress \d+ % \({count}/(\d+)\)", line):
            return int(found[1])
    raise AssertionError("the run ended before")


def run_states() -> list[tuple[str, str]]:
    with get_client(sync_client=True) as client:
        # By name, as a server tells no more than 200, of an inbox's schedule too.
        ours = FlowRunFilter(name=FlowRunFilterName(any_=["synthetic"]))
        flows = client.read_flow_runs(flow_run_filter=ours)
        tasks = client.read_task_runs(flow_run_filter=ours, limit=200)
    assert flows
    assert tasks
    assert max(len(flows), len(tasks)) < 200
    return [(run.name, str(run.state_name)) for run in [*flows, *tasks]]


def nothing_runs(states: list[tuple[str, str]]) -> bool:
    return not any(state in ("Running", "Pending") for _, state in states)


def written(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "transcripts/synthetic/synthetic.json").read_text(encoding="utf-8"))


def test_a_killed_run_is_gone_at_once_and_the_next_does_the_rest(
    recording: Path, tmp_path: Path
) -> None:
    run = started(recording, tmp_path)
    try:
        chunks = until_chunks_are_done(run, 2)
        workers = psutil.Process(run.pid).children(recursive=True)
        workers[-1].suspend()  # not even a stopped worker outlives it
        run.kill()
        _, alive = psutil.wait_procs(workers, timeout=60)
        assert not alive
    finally:
        run.kill()
    finish(run, -signal.SIGKILL)
    assert list(tmp_path.glob("longscribe-*/samples.pcm"))

    said = finish(started(recording, tmp_path))
    done, kept = done_and_kept(said)
    assert (done + kept, kept >= 2) == (chunks, True)
    assert not list(tmp_path.glob("longscribe-*"))
    states = eventually(run_states, nothing_runs)
    assert nothing_runs(states), states
    assert ("synthetic", "Crashed") in states
    whole = written(tmp_path)

    # Another format, another number of workers: nothing to do, and so no worker.
    said = finish(started(recording, tmp_path, "-f", "json,txt"))
    assert done_and_kept(said) == (0, chunks)
    assert "started: " not in said
    assert written(tmp_path)["segments"] == whole["segments"]

    def cached() -> int:
        return [state for _, state in run_states()].count("Cached")

    assert eventually(cached, lambda count: count >= chunks + 2) >= chunks + 2


def test_a_terminated_run_keeps_its_chunks_and_a_damaged_one_is_done_again(
    recording: Path, tmp_path: Path
) -> None:
    run = started(recording, tmp_path)
    chunks = until_chunks_are_done(run, 1)
    run.send_signal(signal.SIGTERM)
    said = finish(run, 143)
    assert not list(tmp_path.glob("longscribe-*"))
    results = sorted(results_folder().rglob("*.json"))
    assert results
    results[0].write_bytes(results[0].read_bytes()[:500])

    said = finish(started(recording, tmp_path))
    assert "is damaged: it is done again" in said
    done, kept = done_and_kept(said)
    assert (done, kept) == (chunks - len(results) + 1, len(results) - 1)
    states = eventually(run_states, nothing_runs)
    assert nothing_runs(states), states

    said = finish(started(recording, tmp_path, "--fresh"))
    assert done_and_kept(said) == (chunks, 0)


_WITH_MADE_NETWORKS = """
import sys
from pathlib import Path
from longscribe.flows.command_line import main
from longscribe.speakers import diarizer
from tests.longscribe.speakers.networks import write_networks

weights = write_networks(Path(sys.argv.pop(1)))
diarizer.find_weights = lambda: weights
main()
"""


@pytest.mark.service
def test_parts_whose_voices_were_heard_are_not_heard_again_after_a_kill(tmp_path: Path) -> None:
    """A minute and a half of talk every ten minutes: four parts of a run of half an hour."""
    talk = np.zeros(round(2_000.0 * RATE_HZ), np.float32)
    for start in range(0, len(talk), 600 * RATE_HZ):
        said = beginning(duration_s=90.0)
        talk[start : start + len(said)] = said
    recording = write_sound(tmp_path / "synthetic.wav", talk)

    def run() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _WITH_MADE_NETWORKS, str(tmp_path), str(recording)]
        command += ["--model", "demo", "--workers", "1", "--speakers", "auto"]
        return started_as(command, tmp_path)

    killed = run()
    for line in lines(killed):
        if "Heard the voices in " in line:
            assert "1 of 4" in line
            killed.kill()
            break
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    said = finish(run())
    kept = re.search(r"Voices in (\d) of 4 parts are kept", said)
    assert kept is not None, said
    heard = said.count("Heard the voices in ")
    assert 1 <= int(kept[1]) < 4
    assert heard == 4 - int(kept[1])
    assert {s["speaker"] for s in written(tmp_path)["segments"]} == {"SPEAKER_00"}

    said = finish(run())
    assert "Voices in 4 of 4 parts are kept" in said
    assert "Heard the voices" not in said
