"""deploy.sh on a real Docker engine: three ways in, upgrades and restarts, twenty at once.

`make test-docker` runs it with the settings that deploy.sh finds, and prints figures at the end.
The service stays up afterwards; what it got to do here is named `stack-...`.
"""

import shutil
import subprocess
import time
import uuid
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.deployments.conftest import Note
from tests.deployments.form import Form, runs_of
from tests.deployments.served import wait_for
from tests.deployments.stack import MemoryWatch, Stack, docker
from tests.flows.over_the_api import START
from tests.longscribe.browser import chromium, needs_chromium
from tests.recordings import PART_S, SYNTHETIC, beginning
from tests.sounds import write_sound

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

MARK = uuid.uuid4().hex[:6]  # of this run of the tests
TWENTY = 20


@pytest.fixture(scope="module")
def stack(note: Note) -> Stack:
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker daemon answers here")
    stack = Stack()
    note("stack up after", f"{stack.started_within_s:.0f} s")
    return stack


def long_recording(folder: Path, times: int) -> Path:
    """The sample over and over, like no other recording: nothing of it is kept."""
    chance = np.random.default_rng(uuid.uuid4().int)
    once = beginning(SYNTHETIC, 240.0)
    sound = np.tile(once, times) + chance.normal(0.0, 1e-4, times * len(once)).astype(np.float32)
    return write_sound(folder / "long.wav", sound.astype(np.float32))


def slowly(recording: str) -> dict[str, object]:
    """Parameters of a run that lasts long enough for something to happen."""
    return {
        "recording": recording,
        "model": "demo",
        "decoding": "sequential",
        "beam_size": 5,
        "chunk_minutes": 1,
    }


def test_dropped_into_the_inbox(stack: Stack, note: Note) -> None:
    name = f"stack-{MARK}-dropped"
    inbox = stack.home / "media" / "inbox"
    shutil.copyfile(SYNTHETIC, stack.home / "media" / "part")
    (stack.home / "media" / "part").chmod(0o644)
    # Like no other: the inbox knows recordings by their content.
    with (stack.home / "media" / "part").open("ab") as file:
        file.write(MARK.encode())
    (stack.home / "media" / "part").rename(inbox / f"{name}.opus")
    started_s = time.monotonic()
    transcript = stack.home / "transcripts" / name / f"{name}.txt"
    wait_for(transcript.exists, 500)
    note("inbox: transcript after", f"{time.monotonic() - started_s:.0f} s")
    assert "heavy report on Monday" in transcript.read_text(encoding="utf-8")
    wait_for((inbox / "done" / f"{name}.opus").exists, 300)


def test_transcript_with_curl_alone(stack: Stack, note: Note) -> None:
    stack.put(SYNTHETIC, f"stack-{MARK}.opus")
    script = (
        START.replace("http://127.0.0.1:4200/api", stack.api)
        .replace('"meeting.opus"', f'"stack-{MARK}.opus"')
        .replace("meeting-2026-11-22", f"stack-{MARK}-curl")
        .replace('"language": "en"', '"language": "en", "model": "demo"')
    )
    started_s = time.monotonic()
    ran = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "COMPLETED" in ran.stdout
    assert "heavy report on Monday" in ran.stdout
    note("curl: transcript after", f"{time.monotonic() - started_s:.0f} s")


def test_web_application_with_a_key_of_its_own(stack: Stack, note: Note) -> None:
    keys = ("longscribe", "keys", "add", f"stack-{MARK}")
    *_, secret = docker("exec", stack.container("web"), *keys).splitlines()
    headers = {"authorization": f"Bearer {secret}"}
    started_s = time.monotonic()
    with SYNTHETIC.open("rb") as file:
        answer = httpx.post(
            f"{stack.web_url}/jobs",
            headers=headers,
            files={"file": file},
            data={"model": "demo"},
            timeout=60,
        )
    assert answer.status_code == 201, answer.text
    url = f"{stack.web_url}/jobs/{answer.json()['id']}"
    wait_for(lambda: httpx.get(url, headers=headers).json()["state"] == "done", 300)
    text = httpx.get(f"{url}/transcript?format=txt", headers=headers, timeout=60).text
    assert "heavy report on Monday" in text
    note("web application: transcript after", f"{time.monotonic() - started_s:.0f} s")


@needs_chromium
def test_form_is_clicked(stack: Stack, note: Note, tmp_path: Path) -> None:
    recording = stack.put(SYNTHETIC, f"stack-{MARK}-clicked.opus")
    with chromium() as browser:
        form = Form(browser, stack.url)
        form.fill("recording", recording)
        form.fill("temperature", "9")
        form.submit()
        assert "less than or equal to 1" in form.complaint("temperature")
        assert runs_of(stack.url, recording) == []
        form.fill("temperature", "0")
        form.fill("model", "demo")
        form.page.screenshot(path=tmp_path / "form.png")
        started_s = time.monotonic()
        form.submit()
        run = form.run_of(recording)
        assert stack.end_of(run["id"])["state_type"] == "COMPLETED"
        note("form: Completed after", f"{time.monotonic() - started_s:.0f} s")
        form.look_at(run["id"], "Completed", tmp_path / "run.png")
    note("pictures", str(tmp_path))


def test_deploy_in_the_middle_loses_nothing(stack: Stack, note: Note, tmp_path: Path) -> None:
    """Worker and inbox are replaced, as in an upgrade; then unchanged, nothing is."""
    recording = stack.put(long_recording(tmp_path, 4), f"stack-{MARK}-upgraded.wav")
    run_id = stack.trigger(**slowly(recording))
    before = stack.wait_for_chunks(run_id, 3)
    worker = stack.container("worker")
    note("deploy.sh with a change", f"{stack.deploy(LONGSCRIBE_PRIVATE_HOSTS='192.0.2.1'):.0f} s")
    assert stack.container("worker") != worker
    run = stack.end_of(run_id)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert run["run_count"] == 2
    done = [row for row in stack.chunks(run_id) if row["state_name"] == "Completed"]
    twice = len(done) - len({row["name"] for row in done})
    assert twice == 0
    cached = {row["name"] for row in stack.chunks(run_id) if row["state_name"] == "Cached"}
    assert before <= cached
    note("chunks done before, kept, in all", f"{len(before)}, {len(cached)}, {len(done)}")
    stack.deploy()  # as before


def test_deploy_without_a_change_changes_nothing(stack: Stack, note: Note, tmp_path: Path) -> None:
    recording = stack.put(long_recording(tmp_path, 2), f"stack-{MARK}-left-alone.wav")
    run_id = stack.trigger(**slowly(recording))
    stack.wait_for_chunks(run_id, 1)
    before = stack.state()
    note("deploy.sh without a change", f"{stack.deploy():.0f} s")
    assert stack.state() == before
    run = stack.end_of(run_id)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert run["run_count"] == 1


def test_database_and_redis_restart_in_the_middle(stack: Stack, note: Note, tmp_path: Path) -> None:
    recording = stack.put(long_recording(tmp_path, 16), f"stack-{MARK}-restarts.wav")
    run_id = stack.trigger(**slowly(recording))
    postgres_after = len(stack.wait_for_chunks(run_id, 2))
    stack.restart("postgres")
    redis_after = len(stack.wait_for_chunks(run_id, postgres_after + 2))
    stack.restart("redis")
    run = stack.end_of(run_id)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert run["run_count"] == 1
    names = [row["name"] for row in stack.chunks(run_id)]
    assert len(names) == len(set(names))
    assert redis_after < len(names)  # else Redis was restarted when all was over
    note(
        "PostgreSQL, Redis restarted after chunk",
        f"{postgres_after}, {redis_after} of {len(names)}",
    )


def test_twenty_with_one_key_are_one_run(stack: Stack) -> None:
    recording = stack.put(SYNTHETIC, f"stack-{MARK}-once.opus")
    keys = [f"stack-{MARK}-once"] * TWENTY
    (run_id,) = set(stack.trigger_all(keys, recording=recording, model="demo"))
    assert stack.end_of(run_id)["state_type"] == "COMPLETED"
    assert len(runs_of(stack.url, recording)) == 1


def test_twenty_at_once_queue_within_the_memory(stack: Stack, note: Note, tmp_path: Path) -> None:
    part = write_sound(tmp_path / "part.wav", beginning(SYNTHETIC, PART_S))
    recording = stack.put(part, f"stack-{MARK}-many.wav")
    keys = [f"stack-{MARK}-{number}" for number in range(TWENTY)]
    most_at_once = 0
    with MemoryWatch(stack) as memory:
        started_s = time.monotonic()
        ids = stack.trigger_all(keys, recording=recording, model="demo", fresh=True)
        assert len(set(ids)) == TWENTY
        states = ["SCHEDULED"]
        while set(states) != {"COMPLETED"}:
            states = [run["state_type"] for run in stack.runs(ids)]
            assert not {"FAILED", "CRASHED", "CANCELLED"} & set(states), states
            most_at_once = max(most_at_once, states.count("RUNNING"))
            assert time.monotonic() - started_s < 1500
            time.sleep(1)
        note("twenty at once: all done after", f"{time.monotonic() - started_s:.0f} s")
    assert most_at_once == 1
    assert memory.killed() == []
    for service, peak_bytes in memory.peak_bytes.items():
        limit_bytes = memory.limit_bytes[service]
        note(f"memory of {service}", f"{peak_bytes / 1e6:.0f} of {limit_bytes / 1e6:.0f} MB")
        assert 0 < peak_bytes < 0.9 * limit_bytes


def test_nothing_is_unhealthy_afterwards(stack: Stack) -> None:
    assert httpx.get(f"{stack.api}/ready", timeout=60).status_code == 200
    assert all(line.endswith(" 0") for line in stack.state().values()), stack.state()
