"""What a worker's successor does with the runs it finds."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling, Completed, Crashed, Running

from longscribe.deployments.orphaned_runs import SILENT
from longscribe.deployments.worker import take_up
from longscribe.flows.work_pool import WORK_POOL, prepare_work_pool
from tests.eventually import eventually


@flow
def recording() -> None:
    """Never called: its runs are only states."""


@pytest.fixture
def left_behind(prefect_server: None):
    prepare_work_pool()

    def make(worker: str, state) -> UUID:
        with get_client(sync_client=True) as client:
            flow_id = client.create_flow(recording)
            deployment_id = client.create_deployment(
                flow_id, "take-up", work_pool_name=WORK_POOL, work_queue_name="default"
            )
            run = client.create_flow_run_from_deployment(deployment_id)
            client.update_flow_run_labels(run.id, {"prefect.worker.name": worker})
            client.set_flow_run_state(run.id, state, force=True)
        return run.id

    return make


def read(run_id: UUID) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id)


def test_running_goes_on(left_behind) -> None:
    run_id = left_behind("one", Running())
    assert take_up("one") == [read(run_id).name]
    run = read(run_id)
    assert run.state_type == StateType.SCHEDULED
    assert run.state_name == "AwaitingRetry"
    assert take_up("one") == []


def test_what_was_only_silent_goes_on(left_behind) -> None:
    silent = left_behind("silent", Crashed(message=SILENT))
    broken = left_behind("silent", Crashed(message="The flow's own fault"))
    assert take_up("silent") == [read(silent).name]
    assert read(broken).state_type == StateType.CRASHED


def test_other_workers_and_ended_runs_are_left_alone(left_behind) -> None:
    others = left_behind("two", Running())
    done = left_behind("three", Completed())
    assert take_up("three") == []
    assert read(others).state_type == StateType.RUNNING
    assert read(done).state_type == StateType.COMPLETED


def test_cancelling_ends_cancelled(left_behind) -> None:
    run_id = left_behind("four", Cancelling())
    assert take_up("four") == []
    assert read(run_id).state_type == StateType.CANCELLED


def test_run_that_takes_its_worker_down_does_not_go_on_for_ever(
    left_behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longscribe.deployments.worker._MOST_STARTS", 1)
    run_id = left_behind("five", Running())
    assert take_up("five") == []
    run = read(run_id)
    assert run.state_type == StateType.CRASHED
    assert run.state is not None
    assert "1 times" in str(run.state.message)


def test_process_that_outlived_its_worker_is_ended(left_behind) -> None:
    run_id = left_behind("six", Running())
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "PREFECT__FLOW_RUN_ID": str(run_id)},
    )
    try:
        take_up("six")
        assert orphan.wait(timeout=60) != 0
    finally:
        orphan.kill()
        orphan.wait()


def test_sigterm_ends_a_script_s_background_job(prefect_server: None, tmp_path: Path) -> None:
    prepare_work_pool()
    log = tmp_path / "log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "longscribe.deployments.worker", "--name", "in-background"],
            env={
                **os.environ,
                "PREFECT_HOME": str(tmp_path),
                "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            },
            stdout=out,
            stderr=out,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as shells do
        )
    try:
        eventually(lambda: "started!" in log.read_text() or worker.poll(), bool, 120.0)
        assert "started!" in log.read_text()
        worker.terminate()
        worker.wait(timeout=60)
    finally:
        worker.kill()
        worker.wait()
    assert "stopped!" in log.read_text()


def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "longscribe.deployments.worker", "--name", "here"]
    # No server answers, so the first one waits.
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }
    lock = tmp_path / "worker-here.lock"
    first = subprocess.Popen(command, env=environment)
    try:
        eventually(lock.exists, lambda is_there: is_there or first.poll() is not None, 120.0)
        assert lock.exists()
        second = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=200
        )
        assert second.returncode == 1
        assert "a worker named 'here' runs here" in second.stderr
    finally:
        first.kill()
        first.wait()
