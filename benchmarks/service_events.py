"""What goes wrong with a deployment's run: cancelled, killed, out of time; then Retry in the UI."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import httpx
import psutil

from benchmarks.disturbance import (
    DECODING,
    WITHIN_S,
    Bench,
    Outcome,
    cost_of,
    until,
    until_under_way,
)
from benchmarks.sandbox import Run, same_segments
from longscribe import flows

_GONE_WITHIN_S = 60.0
_ASK_EVERY_S = 0.5  # the server, which shares the machine with the run
_MOST_RETRIES = 5
_FORK_SERVER_S = 4.0  # the command starts it before its flow begins, a deployment's run cannot
_TIMES_UNDISTURBED = 1.5
_LINES_WITHIN_S = 1.0  # from a worker to the log
_MOST_CLICKS = 5
_CLICKED_AFTER_S = 3.0  # the worker reports a killed run a moment after others see it Crashed
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_LIMITED = """\
from longscribe.flows.transcribe import transcribe

limited = transcribe.with_options(timeout_seconds={seconds})
"""


class Service:
    """The deployment `transcribe` on the bench's server, with a worker; a context manager."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._api = f"{bench.server.url}/api"
        self._environment = {
            **bench.sandbox.environment,
            "PREFECT_API_URL": self._api,
            # The lines as the command prints them.
            "PREFECT_LOGGING_SETTINGS_PATH": str(Path(flows.__file__).with_name("logging.yml")),
            "LONGSCRIBE_MODEL": "demo",
            "LONGSCRIBE_TRANSCRIPTS": str(bench.sandbox.outputs),
            "LONGSCRIBE_MEDIA_ROOTS": str(bench.sandbox.folder),
        }

    def __enter__(self) -> "Service":
        self._call("longscribe.flows.work_pool")
        self.worker = Run(
            [sys.executable, "-m", "longscribe.deployments.worker", "--name", "bench"],
            self._environment,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.worker.process.terminate()
        try:
            self.worker.wait(30.0)
        except psutil.TimeoutExpired:
            self.worker.process.kill()

    def start(self, limit_s: float) -> str:
        """A run of the deployment, with a limit if there is one; its id."""
        if limit_s:
            # Prefect's own way: the flow with other options, in a file of one's own.
            limited = self._bench.sandbox.folder / "limited.py"
            limited.write_text(_LIMITED.format(seconds=limit_s))
            self._deploy(
                f"{os.path.relpath(limited)}:limited", "--name", "limited", "--pool", "longscribe"
            )
        else:
            self._deploy("--name", "transcribe")
        name = "limited" if limit_s else "transcribe"
        found = httpx.get(f"{self._api}/deployments/name/transcribe/{name}", timeout=60.0)
        parameters: dict[str, Any] = {
            "recording": str(self._bench.path),
            "model": "demo",
            "language": "en",
            "chunk_minutes": 0.5,
            **DECODING,
            "formats": ["json", "txt"],
            "output_dir": str(self._bench.sandbox.outputs),
        }
        url = f"{self._api}/deployments/{found.raise_for_status().json()['id']}/create_flow_run"
        for _ in range(_MOST_CLICKS):
            made = httpx.post(url, json={"parameters": parameters}, timeout=60.0)
            if made.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # its database was busy
                break
            time.sleep(_CLICKED_AFTER_S)
        return str(made.raise_for_status().json()["id"])

    def state(self, run_id: str) -> dict[str, Any]:
        """Of the run: its `type` and `name`."""
        answer = httpx.get(f"{self._api}/flow_runs/{run_id}", timeout=60.0)
        state: dict[str, Any] = answer.raise_for_status().json()["state"]
        return state

    def set_state(self, run_id: str, **state: str) -> None:
        """What the UI's buttons do."""
        answer = httpx.post(
            f"{self._api}/flow_runs/{run_id}/set_state", json={"state": state}, timeout=60.0
        )
        if answer.raise_for_status().json()["status"] != "ACCEPT":
            raise RuntimeError(f"{state} was refused: {answer.text}")

    def has_ended(self, run_id: str) -> bool:
        """Whether the run is in a final state."""
        return self.state(run_id)["type"] in _ENDED

    def end_of(self, run_id: str) -> str:
        """The name of the state that it ends in."""
        until(lambda: self.has_ended(run_id), _ASK_EVERY_S)
        return str(self.state(run_id)["name"])

    def _deploy(self, *arguments: str) -> None:
        self._call("prefect", "--no-prompt", "deploy", *arguments)

    def _call(self, *module: str) -> None:
        command = [sys.executable, "-m", *module]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(module)} failed:\n{done.stdout}{done.stderr}")


class ServiceEvent(NamedTuple):
    """Something that ends a deployment's run; then it is retried as the UI does.

    Attributes:
        name: for the table.
        provoke: does it to the run with that id.
        limited: the flow has a limit, which undisturbed runs keep to.
    """

    name: str
    provoke: Callable[[Service, str], None]
    limited: bool = False

    def missing(self) -> str:
        """Nothing: Prefect is there."""
        return ""

    def measure(self, bench: Bench) -> Outcome:
        """Provoke it once."""
        reference = bench.reference
        limit_s = _limit_s(bench) if self.limited else 0.0
        bench.sandbox.forget_results()
        with Service(bench) as service:
            worker = service.worker
            run_id = service.start(limit_s)
            until_under_way(worker, lambda: not worker.is_alive)
            children = worker.processes()
            at_s = time.monotonic()
            under_way, before = worker.under_way(at_s), set(worker.finished())
            self.provoke(service, run_id)
            if self.limited:
                under_way = worker.under_way(time.monotonic() - _LINES_WITHIN_S)
                service.end_of(run_id)
                at_s = time.monotonic()
                before = set(worker.finished())
            _, alive = psutil.wait_procs(children, timeout=_GONE_WITHIN_S)
            gone_s = float("inf") if alive else time.monotonic() - at_s
            ends = [service.end_of(run_id)]
            while ends[-1] != "Completed" and len(ends) < _MOST_RETRIES:
                time.sleep(_CLICKED_AFTER_S)
                service.set_state(run_id, type="SCHEDULED", name="AwaitingRetry")
                ends.append(service.end_of(run_id))
            cost = cost_of(worker.lines, at_s, under_way, before)
            return Outcome(
                ends,
                cost.recovered_s,
                gone_s,
                cost.finished_lost,
                cost.chunk_seconds_lost,
                same_segments(bench.sandbox.segments(bench.path), reference),
                bench.sandbox.unfinished_rows(bench.server.url),
            )


def _limit_s(bench: Bench) -> float:
    """Half as long again as an undisturbed command, and what a deployment's run starts later."""
    began_s = time.monotonic()
    if bench.sandbox.start(bench.path, "--fresh").wait(WITHIN_S) != 0:
        raise RuntimeError("the undisturbed run failed")
    return _TIMES_UNDISTURBED * (time.monotonic() - began_s) + _FORK_SERVER_S


def _cancel(service: Service, run_id: str) -> None:
    service.set_state(run_id, type="CANCELLING")


def _kill(service: Service, _: str) -> None:
    # Its workers' parent is the fork server, and that one's is the run's own process.
    service.worker.workers()[-1].parents()[1].send_signal(signal.SIGKILL)


def _hold_up(service: Service, _: str) -> None:
    """Stop a worker at its chunk, of which it then never says that it is done."""
    worker = service.worker
    while worker.is_alive:
        for number, pid in worker.pids_at_work().items():
            process = psutil.Process(pid)
            process.suspend()
            time.sleep(_LINES_WITHIN_S)
            if number in worker.under_way(time.monotonic()):
                return
            process.resume()
        time.sleep(0.02)


EVENTS = [
    ServiceEvent("a deployment's run is cancelled in the UI, then retried there", _cancel),
    ServiceEvent("a deployment's run is killed (SIGKILL), then retried in the UI", _kill),
    ServiceEvent(
        "a deployment's run exceeds `timeout_seconds`, then is retried in the UI", _hold_up, True
    ),
]
