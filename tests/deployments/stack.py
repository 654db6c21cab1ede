"""The stack of deploy.sh on this machine: what tests do to it, and what they read from it."""

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from longscribe.options import parse_bytes
from tests.deployments.served import ENDED, PROJECT, wait_for

_DEPLOY = PROJECT / "deployments" / "deploy.sh"
_IN_CONTAINER = "/srv/longscribe/media"
SERVICES = ("postgres", "redis", "server", "worker", "clips", "inbox", "web")


def docker(*command: str) -> str:
    ran = subprocess.run(["docker", *command], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


class Stack:
    """Started by deploy.sh with the settings it has, on loopback and without a password.

    Attributes:
        url: of the server.
        web_url: of the web application.
        home: the folder that deploy.sh keeps everything in.
        started_within_s: what the first call of deploy.sh took.
    """

    def __init__(self) -> None:
        self.started_within_s, said = self._deploy()
        found = re.search(r"^Longscribe runs at (\S+), its web application at (\S+)$", said, re.M)
        inbox = re.search(r"^Recordings dropped into (.+)/media/inbox become", said, re.M)
        assert found, said
        assert inbox, said
        self.url, self.web_url = found.groups()
        self.home = Path(inbox[1])
        self.api = f"{self.url}/api"

    def deploy(self, **settings: str) -> float:
        """Run deploy.sh again, with other settings; the seconds it took."""
        return self._deploy(**settings)[0]

    def _deploy(self, **settings: str) -> tuple[float, str]:
        started_s = time.monotonic()
        ran = subprocess.run(
            [_DEPLOY, "--no-follow"],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        return time.monotonic() - started_s, ran.stdout

    def container(self, service: str) -> str:
        """The identifier of a service's container."""
        project = os.environ.get("COMPOSE_PROJECT_NAME", "longscribe")
        labels = {"project": project, "service": service}
        filters = [
            part
            for name, value in labels.items()
            for part in ("--filter", f"label=com.docker.compose.{name}={value}")
        ]
        return docker("ps", "--quiet", "--no-trunc", *filters)

    def state(self) -> dict[str, str]:
        """Which containers there are, of which image, and since when: the same if untouched."""
        shown = "{{.Id}} {{.Image}} {{.State.StartedAt}} {{.RestartCount}}"
        return {
            service: docker("inspect", "--format", shown, self.container(service))
            for service in SERVICES
        }

    def restart(self, service: str) -> None:
        docker("restart", self.container(service))

    def put(self, recording: Path, name: str) -> str:
        """Copy a recording into the media folder; its path in the containers."""
        target = self.home / "media" / name
        shutil.copyfile(recording, target)
        target.chmod(0o644)
        return f"{_IN_CONTAINER}/{name}"

    def trigger(self, key: str = "", **parameters: Any) -> str:
        """Start a run over the API; its identifier."""
        deployment = self.deployment()["id"]
        body = {"parameters": parameters} | ({"idempotency_key": key} if key else {})
        answer = httpx.post(
            f"{self.api}/deployments/{deployment}/create_flow_run", json=body, timeout=60
        )
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def trigger_all(self, keys: Sequence[str], **parameters: Any) -> list[str]:
        """Start a run with each of the keys, all at once; their identifiers."""
        with ThreadPoolExecutor(len(keys)) as callers:
            started = [callers.submit(self.trigger, key, **parameters) for key in keys]
            return [one.result() for one in started]

    def deployment(self, name: str = "transcribe/transcribe") -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{self.api}/deployments/name/{name}", timeout=60).json()
        return answer

    def runs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        return self._find("flow_runs", flow_runs={"id": {"any_": list(ids)}})

    def _find(self, what: str, **limits: Any) -> list[dict[str, Any]]:
        """Ask the server, which may answer with an error while its database restarts."""
        for _ in range(60):
            try:
                answer = httpx.post(f"{self.api}/{what}/filter", json=limits, timeout=60)
                if answer.status_code == 200:
                    found: list[dict[str, Any]] = answer.json()
                    return found
            except httpx.TransportError:
                pass
            time.sleep(2)
        raise AssertionError(f"{self.url} does not answer")

    def run(self, run_id: str) -> dict[str, Any]:
        (run,) = self.runs([run_id])
        return run

    def end_of(self, run_id: str, within_s: float = 900) -> dict[str, Any]:
        wait_for(lambda: self.run(run_id)["state_type"] in ENDED, within_s)
        return self.run(run_id)

    def chunks(self, run_id: str) -> list[dict[str, Any]]:
        """The rows of a run's chunks in the UI."""
        rows = self._find("task_runs", flow_runs={"id": {"any_": [run_id]}})
        return [row for row in rows if row["name"].startswith("chunk ")]

    def done(self, run_id: str) -> set[str]:
        """Names of a run's chunks that are done."""
        return {row["name"] for row in self.chunks(run_id) if row["state_type"] == "COMPLETED"}

    def wait_for_chunks(self, run_id: str, count: int) -> set[str]:
        wait_for(lambda: len(self.done(run_id)) >= count, 400)
        return self.done(run_id)


class MemoryWatch:
    """The most memory that containers took while it watched, as `docker stats` tells it."""

    def __init__(self, stack: Stack) -> None:
        self._ids = {stack.container(service): service for service in SERVICES}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak_bytes = dict.fromkeys(SERVICES, 0)
        self.limit_bytes = dict.fromkeys(SERVICES, 0)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def killed(self) -> list[str]:
        """The services in which the kernel ended something for want of memory."""
        shown = "{{.State.OOMKilled}}"
        return [
            service
            for container, service in self._ids.items()
            if docker("inspect", "--format", shown, container) != "false"
        ]

    def _watch(self) -> None:
        while not self._stop.is_set():
            said = docker(
                *("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.MemUsage}}"),
                *self._ids,
            )
            for line in said.splitlines():
                container, used, _, limit = line.split()
                service = self._ids[container]
                self.peak_bytes[service] = max(self.peak_bytes[service], parse_bytes(used))
                self.limit_bytes[service] = parse_bytes(limit)
