"""The whole service as `make serve` starts it: server, workers, API, inbox, a restart."""

import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

PROJECT = Path(__file__).resolve().parents[2]
SAMPLE = PROJECT / "demo" / "sample.opus"
SERVE = (sys.executable, "-m", "deployments.serve")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Receiver:
    """A webhook's other end."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret-path"


class Served:
    """`make serve` with folders of its own."""

    def __init__(self, folder: Path, webhook: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.folder = folder
        self.log = folder / "log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
            "PREFECT_HOME": str(folder / "prefect"),
            "LONGSCRIBE_MODEL": "demo",
            "LONGSCRIBE_NOTIFY_WEBHOOK": webhook,
            "LONGSCRIBE_INBOX_CRON": "* * * * *",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*SERVE, "--port", str(self.port), "--folder", str(self.folder)],
                cwd=PROJECT,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: b"Ctrl-C stops it" in self.log.read_bytes()[before:] or self._gone(), 180)
        assert not self._gone(), self.log.read_text()

    def stop(self) -> float:
        """Ctrl-C, as a terminal sends it: to the whole group; the seconds it took."""
        assert self._process is not None
        started_s = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(timeout=90)
        return time.monotonic() - started_s

    def trigger(self, **parameters: Any) -> str:
        deployment = httpx.get(f"{self.api}/deployments/name/transcribe/transcribe").json()["id"]
        answer = httpx.post(
            f"{self.api}/deployments/{deployment}/create_flow_run",
            json={"parameters": {"model": "demo", **parameters}},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{self.api}/flow_runs/{run_id}", timeout=30).json()
        return answer

    def end_of(self, run_id: str, within_s: float = 200) -> dict[str, Any]:
        wait_for(lambda: self.run(run_id)["state_type"] in ENDED, within_s)
        return self.run(run_id)

    def _gone(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None


def wait_for(true: Callable[[], bool], within_s: float) -> None:
    give_up_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.5)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"), receiver.url)
    served.start()
    yield served
    served.stop()
    print(served.log.read_text())


pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]


def test_triggered_over_the_api(served: Served, receiver: Receiver) -> None:
    shutil.copy(SAMPLE, served.folder / "media" / "talk.opus")
    run = served.end_of(served.trigger(recording=str(served.folder / "media" / "talk.opus")))
    assert run["state_type"] == "COMPLETED", (run["state"], served.log.read_text())
    text = (served.folder / "transcripts" / "talk" / "talk.txt").read_text()
    assert "heavy report on Monday" in text
    wait_for(lambda: bool(receiver.got), 60)
    assert receiver.got[0]["subject"] == "talk: Completed"
    assert run["id"] in receiver.got[0]["body"]


def test_dropped_into_the_inbox(served: Served) -> None:
    shutil.copy(SAMPLE, served.folder / "media" / "inbox" / "dropped.opus")
    transcript = served.folder / "transcripts" / "dropped" / "dropped.txt"
    wait_for(transcript.exists, 360)


def test_goes_on_after_a_restart_in_the_middle(served: Served) -> None:
    shutil.copy(SAMPLE, served.folder / "media" / "restarted.opus")
    run_id = served.trigger(
        recording=str(served.folder / "media" / "restarted.opus"), decoding="sequential"
    )
    wait_for(lambda: served.run(run_id)["state_type"] == "RUNNING", 120)
    time.sleep(5)
    assert served.stop() < 45
    served.start()
    run = served.end_of(run_id, within_s=300)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert run["run_count"] == 2
    assert (served.folder / "transcripts" / "restarted" / "restarted.txt").exists()


def test_no_secret_is_in_the_log(served: Served) -> None:
    assert "secret-path" not in served.log.read_text()


def test_nothing_is_left_after_ctrl_c(served: Served) -> None:
    served.stop()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{served.api}/health")
    served.start()


def test_exposed_server_asks_for_a_password(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "log").open("wb")
    environment = {
        **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    process = subprocess.Popen(
        [*SERVE, "--host", "0.0.0.0", "--port", str(port), "--folder", str(tmp_path)],
        cwd=PROJECT,
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        wait_for(lambda: b"Ctrl-C stops it" in (tmp_path / "log").read_bytes(), 120)
        login = tmp_path / "prefect" / "api-login"
        assert login.stat().st_mode & 0o077 == 0
        user, password = login.read_text().split(":")
        url = f"http://127.0.0.1:{port}/api/flow_runs/count"
        assert httpx.post(url, json={}).status_code == 401
        assert httpx.post(url, json={}, auth=(user, password)).status_code == 200
        assert password not in (tmp_path / "log").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)
        log.close()
