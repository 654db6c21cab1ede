"""The section "Runs over HTTP" of docs/api.md, executed: a real server and a real worker."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL

from tests.flows.conftest import PROJECT, deploy
from tests.flows.over_the_api import CANCEL, PYTHON, START

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


def api() -> str:
    return str(PREFECT_API_URL.value())


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PREFECT_API_URL": api(), **more}


def shell(script: str) -> str:
    script = script.replace("http://127.0.0.1:4200/api", api())
    ran = subprocess.run(
        ["bash", "-euc", script],
        capture_output=True,
        text=True,
        timeout=400,
        env=environment(),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def worker(server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A worker for one recording at a time; its media root."""
    from longscribe.flows.work_pool import prepare_work_pool

    media = tmp_path_factory.mktemp("media")
    shutil.copy(PROJECT / "demo" / "synthetic.opus", media / "meeting.opus")
    prepare_work_pool()
    deploy(LONGSCRIBE_MODEL="demo", LONGSCRIBE_TRANSCRIPTS=str(media / "transcripts"))
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "longscribe"]
    with (media / ".log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--work-queue", "default", "--work-queue", "short", "--limit", "1"],
            env=environment(LONGSCRIBE_MEDIA_ROOTS=str(media)),
            cwd=PROJECT,
            stdout=log,
            stderr=log,
        )
        try:
            yield media
        finally:
            process.terminate()
            process.wait(timeout=60)


def test_start_status_progress_and_transcript_with_curl_alone(worker: Path) -> None:
    printed = shell(START)
    assert "COMPLETED" in printed, (worker / ".log").read_text(encoding="utf-8")
    assert "heavy report on Monday" in printed
    progress = shell(START)  # the same key: the run that has ended
    assert "progress 100 %" in progress
    written = (worker / "transcripts" / "meeting" / "meeting.txt").read_text(encoding="utf-8")
    assert progress.rstrip("\n").endswith(written.rstrip("\n"))


def test_the_same_in_python(worker: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PYTHON],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("Completed\n")
    assert "heavy report on Monday" in ran.stdout


def test_a_run_is_cancelled_and_leaves_nothing(worker: Path) -> None:
    # So slow that it is at work for a good while after the worker has learned of it.
    slowly = {"decoding": "sequential", "beam_size": 20}
    run = start(recording="meeting.opus", output_dir="cancelled", **slowly)
    wait_for(run, "RUNNING")
    shell(f"{START.partition('# Start.')[0]}\nRUN={run['id']}\n{CANCEL}")
    wait_for(run, "CANCELLED")
    assert not (worker / "cancelled").exists()


def test_a_recording_dropped_into_the_inbox_is_transcribed(
    worker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from longscribe.flows.inbox import inbox

    monkeypatch.setenv("LONGSCRIBE_CACHE", str(tmp_path / "ledger"))
    folder = worker / "inbox"
    (folder / "team").mkdir(parents=True)
    shutil.copy(worker / "meeting.opus", folder / "team" / "dropped.opus")
    (folder / "notes.odt").write_bytes(b"no recording")
    give_up_s = time.monotonic() + 250.0
    while any(path.is_file() for path in (folder / "notes.odt", folder / "team" / "dropped.opus")):
        assert time.monotonic() < give_up_s
        inbox(str(folder), str(worker / "transcripts"), settle_minutes=0.0, attempts=2)
        time.sleep(2.0)
    assert (folder / "done" / "team" / "dropped.opus").is_file()
    assert (worker / "transcripts" / "team" / "dropped" / "dropped.txt").is_file()
    note = (folder / "failed" / "notes.odt.failed.txt").read_text(encoding="utf-8")
    assert "notes.odt' is not a recording that FFmpeg can read" in note
    assert "attempt 2" in note


def start(**parameters: Any) -> dict[str, Any]:
    deployment = httpx.get(f"{api()}/deployments/name/transcribe/transcribe").json()["id"]
    answer = httpx.post(
        f"{api()}/deployments/{deployment}/create_flow_run", json={"parameters": parameters}
    )
    run: dict[str, Any] = answer.json()
    return run


def wait_for(run: dict[str, Any], state: str, within_s: float = 200.0) -> dict[str, Any]:
    give_up_s = time.monotonic() + within_s
    while (found := httpx.get(f"{api()}/flow_runs/{run['id']}").json())["state_type"] != state:
        assert time.monotonic() < give_up_s, found["state"]
        time.sleep(1.0)
    described: dict[str, Any] = found
    return described
