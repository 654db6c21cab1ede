"""A Prefect server and workers on hosts of their own, on this machine.

A host is a namespace of processes with a name of its own (`unshare --pid --uts`), a home, a cache
folder and a folder for samples; all share the recordings, the transcripts and the store. It dies as
a machine does: all of it at once, by SIGKILL. It has no network of its own.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import httpx
import psutil

from benchmarks.database import Database
from longscribe.cache.folder import cache_folder

_STARTS_WITHIN_S: Final = 300.0
_PAGE: Final = 200
ENDED: Final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def missing() -> str:
    """What this machine lacks for hosts, or nothing."""
    program = shutil.which("unshare")
    if program is None:
        return "needs unshare (`apt-get install util-linux`)"
    tried = subprocess.run([*_namespace(), "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"needs namespaces: {tried.stderr.strip()}"


def _namespace() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--uts", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]


class Host:
    """A worker on a machine of its own."""

    def __init__(self, name: str, environment: dict[str, str], arguments: Iterable[str]) -> None:
        self.name = name
        self._log: IO[bytes] = (Path(environment["HOME"]) / "worker.log").open("ab")
        worker = [sys.executable, "-m", "longscribe.deployments.worker", *arguments]
        self._process = psutil.Popen(
            [*_namespace(), "sh", "-c", f'hostname {name}; exec "$0" "$@"', *worker],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    @property
    def log(self) -> str:
        """What the worker said."""
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    @property
    def cpu_s(self) -> float:
        """Of all processes that are there now, and those that they waited for."""
        return _cpu_s(self._process)

    def die(self) -> None:
        """All of it at once."""
        with suppress(psutil.NoSuchProcess):
            self._process.kill()
        self._process.wait()
        self._log.close()

    def stop(self) -> None:
        """As `systemctl stop` does."""
        with suppress(psutil.NoSuchProcess):
            for child in self._process.children():
                child.send_signal(signal.SIGTERM)
        with suppress(psutil.TimeoutExpired):
            self._process.wait(30.0)
        self.die()


class Cluster:
    """A server and its hosts; a context manager.

    Args:
        folder: for all that they keep.
        database: of the server; SQLite by default.
        settings: further variables of the environment, for all.
    """

    def __init__(
        self, folder: Path, database: Database | None = None, settings: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._database = database
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        for name in ("media", "transcripts", "store", "hosts", "server"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("PREFECT", "LONGSCRIBE"))},
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_UI_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "LONGSCRIBE_MEDIA_ROOTS": f"{folder / 'media'}:{folder / 'transcripts'}",
            "LONGSCRIBE_TRANSCRIPTS": str(folder / "transcripts"),
            "LONGSCRIBE_INBOX": str(folder / "media"),
            "LONGSCRIBE_STORE": str(folder / "store"),
            "LONGSCRIBE_MODEL": "demo",
            "LONGSCRIBE_UI_LANGUAGE": "en",
            **(settings or {}),
        }
        self.hosts: list[Host] = []
        self._looks = 0
        self._deployment = ""
        self._stack = ExitStack()
        self._server: psutil.Popen | None = None

    def __enter__(self) -> "Cluster":
        try:
            self._start_server()
            self._call("longscribe.deployments.register")
            # Its schedule's sweeps would be among the runs that are counted.
            inbox = self.ask_get("deployments/name/inbox/inbox")["id"]
            paused = httpx.post(f"{self.url}/api/deployments/{inbox}/pause_deployment", timeout=60)
            paused.raise_for_status()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for host in self.hosts:
            with suppress(ValueError):  # it died before
                host.stop()
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(30.0)
            except psutil.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._stack.close()

    @property
    def server_cpu_s(self) -> float:
        """Of the server's process."""
        return _cpu_s(self._server) if self._server is not None else 0.0

    @property
    def database_cpu_s(self) -> float:
        """Of PostgreSQL's processes; 0 with SQLite, which is part of the server's."""
        return _cpu_s(psutil.Process(self._database.pid)) if self._database else 0.0

    def requests(self) -> int:
        """To the server's API until now, by its log."""
        log = (self.folder / "server" / "log").read_text(encoding="utf-8", errors="replace")
        return log.count(" /api/")

    @property
    def looks(self) -> int:
        """Requests of this process to find out how things stand, until now."""
        return self._looks

    def start_host(self, name: str, *arguments: str, **settings: str) -> Host:
        """Start a host with one worker.

        Args:
            name: its host name.
            arguments: of the worker.
            settings: further variables of its environment.
        """
        home = self.folder / "hosts" / name
        cache = home / "cache"
        for made in (home / "tmp", cache):
            made.mkdir(parents=True, exist_ok=True)
        for kind in ("kernels", "weights"):  # compiled once, for this machine
            (cache_folder() / kind).mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                (cache / kind).symlink_to(cache_folder() / kind)
        own = {
            "HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "TMPDIR": str(home / "tmp"),
            "LONGSCRIBE_CACHE": str(cache),
        }
        self.hosts.append(Host(name, {**self._environment, **own, **settings}, arguments))
        return self.hosts[-1]

    def start_run(self, recording: Path, key: str, queue: str = "", **parameters: Any) -> str:
        """Start a run of `transcribe`, once for each key; its id."""
        if not self._deployment:
            self._deployment = self.ask_get("deployments/name/transcribe/transcribe")["id"]
        body: dict[str, Any] = {
            "parameters": {
                "recording": str(recording),
                "output_dir": str(self.folder / "transcripts"),
                "model": "demo",
                "language": "en",
                "formats": ["json", "txt"],
                **parameters,
            },
            "idempotency_key": key,
            "state": {"type": "SCHEDULED"},
        }
        if queue:
            body["work_queue_name"] = queue
        return str(self.ask(f"deployments/{self._deployment}/create_flow_run", **body)["id"])

    def runs(self, run_ids: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Runs of `transcribe`: these, or all."""
        if run_ids is None:
            return self._all("flow_runs/filter", flows={"name": {"any_": ["transcribe"]}})
        ids = list(run_ids)
        return self._all("flow_runs/filter", flow_runs={"id": {"any_": ids}}) if ids else []

    def count_runs(self) -> int:
        """Of all flows, in the database."""
        return int(self.ask("flow_runs/count"))

    def tasks(self, name: str, run_ids: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Task runs whose names begin so, of some flow runs or of all."""
        ids = list(run_ids)
        flow_runs = {"flow_runs": {"id": {"any_": ids}}} if ids else {}
        return self._all("task_runs/filter", task_runs={"name": {"like_": f"{name}"}}, **flow_runs)

    def ask(self, path: str, **body: Any) -> Any:
        """The answer to a POST; a server that is busy is asked again."""
        for _ in range(20):
            with suppress(httpx.TransportError):
                self._looks += not path.endswith("create_flow_run")
                answer = httpx.post(f"{self.url}/api/{path}", json=body, timeout=120)
                if answer.status_code not in (500, 503):
                    return answer.raise_for_status().json()
            time.sleep(1.0)
        raise RuntimeError(f"the server does not answer to {path}")

    def ask_get(self, path: str) -> Any:
        """The answer to a GET."""
        self._looks += 1
        answer = httpx.get(f"{self.url}/api/{path}", timeout=120)
        return answer.raise_for_status().json()

    def _all(self, path: str, **body: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask(path, limit=_PAGE, offset=len(found), sort="ID_DESC", **body)
            found += page
            if len(page) < _PAGE:
                return found

    def _start_server(self) -> None:
        home = self.folder / "server"
        environment = {
            **self._environment,
            "HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            # Its log has a line for each request.
            "PREFECT_SERVER_LOGGING_LEVEL": "INFO",
        }
        if self._database is not None:
            environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = self._database.url
        log = self._stack.enter_context((home / "log").open("wb"))
        command = [sys.executable, "-m", "longscribe.deployments.server"]
        self._server = psutil.Popen(
            [*command, "--port", str(self._port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

        def answers() -> bool:
            assert self._server is not None
            if self._server.poll() is not None:
                raise RuntimeError(f"the server ended; see {home / 'log'}")
            with suppress(httpx.HTTPError):
                return httpx.get(f"{self.url}/api/health", timeout=10).is_success
            return False

        until(answers, _STARTS_WITHIN_S)

    def _call(self, module: str) -> None:
        home = self.folder / "server"
        environment = {
            **self._environment,
            "HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
        }
        command = [sys.executable, "-m", module]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{module} failed:\n{done.stdout}{done.stderr}")


def until(true: Callable[[], bool], within_s: float, look_every_s: float = 0.5) -> None:
    """Wait.

    Raises:
        TimeoutError: it was not true in time.
    """
    give_up_s = time.monotonic() + within_s
    while not true():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"not within {within_s:.0f} s")
        time.sleep(look_every_s)


def _cpu_s(process: psutil.Process) -> float:
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
