"""The worker as a process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from prefect.settings import PREFECT_API_URL

from longscribe.flows.work_pool import prepare_work_pool
from tests.eventually import eventually


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
