"""A place of its own for runs that are disturbed: cache, scratch, outputs, Prefect's database."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from benchmarks.command import command_line, written_transcript
from benchmarks.process_tree import is_fork_server, is_worker
from longscribe.flows.server_process import SHOWN_AS

_STARTED = re.compile(r"\bChunk (\d+) of \d+ started: .* pid (\d+)$")
_FINISHED = re.compile(r"\bFinished chunk (\d+) of (\d+), \d+ segments")
_KEPT = re.compile(r"\bChunk (\d+) of \d+ kept from an earlier run: ")
_SERVER_WITHIN_S = 120.0
_EVENTS_WITHIN_S = 15.0  # states of tasks are events, which the server takes in when it can
_UNFINISHED = {"state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}}}


class Said(NamedTuple):
    """A line of a run's log, and when it came, on the monotonic clock."""

    at_s: float
    text: str


class Run:
    """The command at work, and what it says."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.process = psutil.Popen(
            list(command),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # The disturber's own Ctrl-C is none of the run's, and a script's jobs ignore SIGINT.
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines: list[Said] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_alive(self) -> bool:
        """Whether the command has not ended."""
        return bool(self.process.poll() is None)

    def wait(self, timeout_s: float) -> int:
        """The exit code, when it has ended and all its lines are read."""
        code = self.process.wait(timeout_s)
        self._reader.join(10.0)
        return int(code)

    def processes(self) -> list[psutil.Process]:
        """All that the command started."""
        with suppress(psutil.NoSuchProcess):
            return list(self.process.children(recursive=True))
        return []

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        return [one for one in self.processes() if is_worker(one)]

    def fork_servers(self) -> list[psutil.Process]:
        """The process that its workers are forked from."""
        return [one for one in self.processes() if is_fork_server(one)]

    def servers(self) -> list[psutil.Process]:
        """Its embedded Prefect server."""
        return [one for one in self.processes() if _name(one) == SHOWN_AS]

    def at(self, pattern: str, times: int = 1) -> float | None:
        """When it said something for so many times."""
        found = [said.at_s for said in list(self.lines) if re.search(pattern, said.text)]
        return found[times - 1] if len(found) >= times else None

    def finished(self) -> list[int]:
        """Numbers of the chunks that it finished itself."""
        return [int(found[1]) for said in self.lines if (found := _FINISHED.search(said.text))]

    def kept(self) -> list[int]:
        """Numbers of the chunks that it had from an earlier run."""
        return [int(found[1]) for said in self.lines if (found := _KEPT.search(said.text))]

    def under_way(self, at_s: float) -> dict[int, float]:
        """Chunks that were under way at a time, and the seconds spent on each until then."""
        since: dict[int, float] = {}
        for said in list(self.lines):
            if said.at_s > at_s:
                break
            if found := _STARTED.search(said.text):
                since[int(found[1])] = said.at_s
            elif found := _FINISHED.search(said.text):
                since.pop(int(found[1]), None)
        return {number: at_s - started_s for number, started_s in since.items()}

    def pids_at_work(self) -> dict[int, int]:
        """Chunks that are under way, and the workers that are at them."""
        under_way = self.under_way(time.monotonic())
        found = [_STARTED.search(said.text) for said in list(self.lines)]
        return {int(one[1]): int(one[2]) for one in found if one and int(one[1]) in under_way}

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(Said(time.monotonic(), line.decode(errors="replace").rstrip()))


class Sandbox:
    """Folders below one, an environment that points there, and what is left in them."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.folder = folder.resolve()
        self._options = list(options)
        for name in ("cache", "scratch", "outputs", "prefect"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.environment = {
            **{name: text for name, text in os.environ.items() if name != "PREFECT_API_URL"},
            "LONGSCRIBE_CACHE": str(self.folder / "cache"),
            "TMPDIR": str(self.folder / "scratch"),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }

    @property
    def outputs(self) -> Path:
        """Where transcripts are written."""
        return self.folder / "outputs"

    def start(
        self,
        recording: Path,
        *options: str,
        server_url: str = "",
        environment: dict[str, str] | None = None,
    ) -> Run:
        """The command on a recording, with the demo model."""
        options = (*self._options, *options)
        command = command_line(recording, "demo", self.outputs, options, fresh=False)
        server = {"PREFECT_API_URL": f"{server_url}/api"} if server_url else {}
        return Run(command, {**self.environment, **server, **(environment or {})})

    def segments(self, recording: Path) -> list[dict[str, Any]]:
        """What the last run wrote."""
        rows: list[dict[str, Any]] = written_transcript(recording, self.outputs)["segments"]
        return rows

    def results(self) -> list[Path]:
        """Kept results of chunks."""
        return sorted((self.folder / "cache" / "results").rglob("*.json"))

    def forget_results(self) -> None:
        """The next run starts from nothing, and what it writes is its own."""
        shutil.rmtree(self.outputs, ignore_errors=True)
        for path in self.results():
            path.unlink(missing_ok=True)

    def strays(self) -> list[psutil.Process]:
        """Processes of these runs that are still there; none should be when no run is."""
        mine = str(self.folder / "cache")
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                if environment.get("LONGSCRIBE_CACHE") == mine and process.pid != os.getpid():
                    found.append(process)
        return found

    def leftovers(self) -> list[Path]:
        """Temporary files that nobody will remove."""
        temporary_files = [*self.folder.rglob(".*.tmp"), *self.folder.rglob("*.part")]
        return [*temporary_files, *(self.folder / "scratch").glob("*longscribe-*")]

    def unfinished_rows(self, server_url: str) -> int:
        """Flow and task runs that Prefect goes on believing to be under way."""
        give_up_s = time.monotonic() + _EVENTS_WITHIN_S
        while (count := self._unfinished_rows(server_url)) and time.monotonic() < give_up_s:
            time.sleep(0.5)
        return count

    def _unfinished_rows(self, server_url: str) -> int:
        count = 0
        for kind, other in (("flow_runs", "task_runs"), ("task_runs", "flow_runs")):
            body = {kind: _UNFINISHED, other: {}}
            answer = httpx.post(f"{server_url}/api/{kind}/count", json=body, timeout=60.0)
            count += int(answer.raise_for_status().json())
        return count


class Server:
    """A Prefect server beside the runs, on the sandbox's database or another; may be restarted."""

    def __init__(self, sandbox: Sandbox, database_url: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        # Not a stray: it is ours.
        self._environment = {**sandbox.environment, "LONGSCRIBE_CACHE": ""}
        if database_url:
            self._environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "prefect", "server", "start"]
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(self._port)],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up_s = time.monotonic() + _SERVER_WITHIN_S
        while time.monotonic() < give_up_s:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/api/health", timeout=5.0).status_code == httpx.codes.OK:
                    return
            time.sleep(0.2)
        raise TimeoutError("the Prefect server does not answer")

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()

    def suspend(self) -> None:
        """From now on it takes connections, and answers none."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        self._process.send_signal(signal.SIGCONT)


def same_segments(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Whether two transcripts are the same, times, tokens, probabilities and all."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""
