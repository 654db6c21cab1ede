"""`make serve` with folders of its own, and the other end of its messages."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port

CLIP = Path(__file__).parents[1] / "longscribe" / "jfk.opus"  # 11 s
PROJECT = Path(__file__).resolve().parents[2]
SERVE = (sys.executable, "-m", "longscribe.deployments.serve")
_STANDS_STILL_S = 10.0  # no look takes as long
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

    def about(self, run_id: str) -> list[dict[str, str]]:
        """The messages about a run, as far as they have come."""
        return [message for message in self.got if run_id in message["body"]]


class Served:
    """The processes of `longscribe.deployments.serve`, and its API."""

    def __init__(
        self, folder: Path, webhook: str = "", host: str = "127.0.0.1", **settings: str
    ) -> None:
        self.port = free_port()
        self._host = host
        self.url = f"http://127.0.0.1:{self.port}"
        self.web_port = free_port()
        self.web = f"http://127.0.0.1:{self.web_port}"
        self.api = f"{self.url}/api"
        self.folder = folder
        self.log = folder / "log"
        self._options = ["--port", str(self.port), "--web-port", str(self.web_port)]
        self._options += ["--folder", str(folder)]
        self._environment = {
            **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
            "PREFECT_HOME": str(folder / "prefect"),
            "LONGSCRIBE_MODEL": "demo",
            "LONGSCRIBE_NOTIFY_WEBHOOK": webhook,
            "LONGSCRIBE_INBOX_CRON": "* * * * *",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*SERVE, "--host", self._host, *self._options],
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

    def put(self, recording: Path, name: str) -> str:
        """Copy a recording into the media folder; its path there."""
        target = self.folder / "media" / name
        target.write_bytes(recording.read_bytes())
        return str(target)

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password, if the server asks for them."""
        file = self.folder / "prefect" / "api-login"
        if not file.exists():
            return None
        user, password = file.read_text().split(":")
        return user, password

    def web_login(self) -> tuple[str, str]:
        """Name and password of the web application's first user, as soon as it answers."""

        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.web}/health", timeout=10).is_success
            return False

        wait_for(answers, 120)
        wait_for((self.folder / "web-login").exists, 60)
        name, password = (self.folder / "web-login").read_text().strip().split(":")
        return name, password

    def deployment(self, name: str = "transcribe/transcribe") -> str:
        """The identifier of a deployment."""
        url = f"{self.api}/deployments/name/{name}"
        return str(httpx.get(url, auth=self.login, timeout=60).json()["id"])

    def ask(self, path: str, **body: Any) -> Any:
        """The answer to a POST that changes nothing."""
        for _ in range(10):
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.post(f"{self.api}/{path}", json=body, auth=self.login, timeout=60)
                if answer.status_code != 503:
                    assert answer.is_success, answer.text
                    return answer.json()
            time.sleep(1)
        raise AssertionError(f"{self.api} does not answer")

    def trigger(self, **parameters: Any) -> str:
        return self.request_run({"parameters": {"model": "demo", **parameters}})

    def clip(self, name: str, **parameters: Any) -> str:
        """Start a run of a recording of ten seconds, in the queue for clips."""
        given = {"model": "demo", "fresh": True, **parameters}
        given["recording"] = self.put(CLIP, name)
        return self.request_run({"parameters": given, "work_queue_name": "clips"})

    def request_run(self, body: dict[str, Any]) -> str:
        """Start a run with any body; its identifier."""
        for _ in range(10):
            answer = httpx.post(
                f"{self.api}/deployments/{self.deployment()}/create_flow_run",
                # Not `json=`, which refuses NaN.
                content=json.dumps(body),
                headers={"content-type": "application/json"},
                timeout=60,
            )
            if answer.status_code != 503:  # SQLite was busy for too long; nothing was done
                break
            time.sleep(1)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        (found,) = self.ask("flow_runs/filter", flow_runs={"id": {"any_": [run_id]}})
        described: dict[str, Any] = found
        return described

    def end_of(self, run_id: str, within_s: float = 200) -> dict[str, Any]:
        wait_for(lambda: self.run(run_id)["state_type"] in ENDED, within_s)
        return self.run(run_id)

    def transcript(self, run_id: str, kind: str = "txt") -> str:
        """A run's transcript, by HTTP alone."""
        wanted = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [f"transcript-{kind}"]}}
        answer = httpx.post(f"{self.api}/artifacts/filter", json={"artifacts": wanted}, timeout=30)
        (artifact,) = answer.json()
        return str(artifact["data"])

    def worker_environment(self) -> dict[str, str]:
        """What `longscribe.deployments.serve` gives its workers, for one more."""
        media, transcripts = self.folder / "media", self.folder / "transcripts"
        return self._environment | {
            "PREFECT_API_URL": self.api,
            "LONGSCRIBE_MEDIA_ROOTS": f"{media}:{transcripts}",
            "LONGSCRIBE_TRANSCRIPTS": str(transcripts),
        }

    def _gone(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None


def wait_for(true: Callable[[], bool], within_s: float) -> None:
    """Return when it is true; time in which the whole machine stood still does not count."""
    waited_s, looked_s = 0.0, time.monotonic()
    while not true():
        now_s = time.monotonic()
        waited_s, looked_s = waited_s + min(now_s - looked_s, _STANDS_STILL_S), now_s
        assert waited_s < within_s
        time.sleep(0.5)
