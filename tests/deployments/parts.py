"""The service in its parts, with PostgreSQL and Redis as `deploy.sh` has it; a test may kill each.

What restarts them there is Docker or systemd; here it is the test.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import psutil

from tests.deployments.served import PROJECT, wait_for
from tests.ports import free_port
from tests.postgresql import PostgreSql

_PYTHON: Final = (sys.executable, "-m")


class Part:
    """One process with its children, started again as it was."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        answers: Callable[[], bool],
        log: Path,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._answers = answers
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: self._answers() or self._is_gone(), 180)
        assert not self._is_gone(), (self.name, self._log.read_text()[-3000:])

    def kill(self) -> None:
        """SIGKILL to the process alone, as the kernel does it; its children leave by themselves."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive, alive

    def stop(self) -> None:
        if self._process is None or self._is_gone():
            return
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def _is_gone(self) -> bool:
        return self._process is not None and self._process.poll() is not None


class Parts:
    """All parts of a service, in the order of their start.

    Attributes:
        web: address of the web application.
        api: of the Prefect server.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        port, web_port, redis_port = (free_port() for _ in range(3))
        self._postgresql = PostgreSql()
        self.api = f"http://127.0.0.1:{port}/api"
        self.web = f"http://127.0.0.1:{web_port}"
        of_server, of_web = map(self._postgresql.address, ("prefect", "web"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            # As in compose.yaml.
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{of_server}",
            "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
            "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
            "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
            "PREFECT_SERVER_DOCKET_URL": f"redis://127.0.0.1:{redis_port}/1",
            "PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1",
            "PREFECT_REDIS_MESSAGING_PORT": str(redis_port),
            "LONGSCRIBE_MODEL": "demo",
            "LONGSCRIBE_UPLOADS": str(folder / "media" / "uploads"),
            "LONGSCRIBE_INBOX": str(folder / "media" / "inbox"),
            "LONGSCRIBE_TRANSCRIPTS": str(folder / "transcripts"),
            "LONGSCRIBE_MEDIA_ROOTS": f"{folder / 'media'}:{folder / 'transcripts'}",
            "LONGSCRIBE_WEB_DATABASE": f"postgresql://{of_web}",
            "LONGSCRIBE_WEB_URL": self.web,
            **settings,
        }
        for made in ("media/inbox", "transcripts", "redis"):
            (folder / made).mkdir(parents=True, exist_ok=True)
        self._parts = {
            part.name: part
            for part in (
                self._part("database", self._postgresql.command, self._postgresql.answers),
                self._part(
                    "redis",
                    [
                        *("redis-server", "--port", str(redis_port), "--bind", "127.0.0.1"),
                        *("--dir", str(folder / "redis"), "--appendonly", "yes"),
                        *("--maxmemory-policy", "noeviction"),
                    ],
                    lambda: _redis_answers(redis_port),
                ),
                self._part(
                    "server",
                    [*_PYTHON, "longscribe.deployments.server", "--port", str(port)],
                    lambda: _answers(f"{self.api}/health"),
                ),
                self._part("worker", [*_PYTHON, "longscribe.deployments.worker"], lambda: True),
                self._part(
                    "clips",
                    [*_PYTHON, "longscribe.deployments.worker", "--queue", "clips"],
                    lambda: True,
                ),
                self._part(
                    "web",
                    [*_PYTHON, "longscribe.web.server", "--port", str(web_port)],
                    lambda: _answers(f"{self.web}/health"),
                ),
            )
        }

    def start(self) -> None:
        """Start them all, with empty databases and what `register` makes."""
        for name in ("database", "redis"):
            self._parts[name].start()
        for database in ("prefect", "web"):
            self._postgresql.create(database)
        self._parts["server"].start()
        subprocess.run(
            [*_PYTHON, "longscribe.deployments.register"],
            env=self.environment,
            cwd=PROJECT,
            check=True,
            capture_output=True,
        )
        for name in ("worker", "clips", "web"):
            self._parts[name].start()

    def kill_and_restart(self, name: str, after_s: float = 1.0) -> None:
        """Kill one, and start it again after some time without it."""
        self._parts[name].kill()
        time.sleep(after_s)
        self._parts[name].start()

    def stop(self) -> None:
        for part in reversed(self._parts.values()):
            part.stop()
        self._postgresql.remove()

    def log(self, name: str) -> str:
        """What one wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _part(self, name: str, command: list[str], answers: Callable[[], bool]) -> Part:
        return Part(name, command, self.environment, answers, self.folder / f"{name}.log")


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=5).is_success
    return False


def _redis_answers(port: int) -> bool:
    import redis

    client = redis.Redis(port=port)
    try:
        return bool(client.ping())
    except redis.RedisError:  # away, or still loading what it kept
        return False
    finally:
        client.close()
