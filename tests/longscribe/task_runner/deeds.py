"""A task that does as it is told, attempt by attempt: what may happen to a worker."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import prefect.task_engine  # noqa: F401  # for the fork server: no worker need import it
from prefect import flow, task, unmapped
from prefect.futures import as_completed
from prefect.logging import get_run_logger
from prefect.plugins import load_prefect_collections

from longscribe.runtime.worker_progress import advance
from longscribe.task_runner import GPU_LOST, Patience, SurvivingTaskRunner, halvings, leave_pool

# With its first task each worker would import what integrations are installed, seconds of a core.
load_prefect_collections()

COUNT = 4
HANGS_S = 120.0  # for whom nobody waits
PIECES, PIECE_S = 12, 0.5  # of "labour", each of a core


class Traits:
    """Of `pretend`."""

    def __init__(self, limit_s: float = 60.0, patience: Patience | None = None) -> None:
        self._limit_s = limit_s
        self.patience = patience

    def name(self, parameters: Mapping[str, Any]) -> str:
        return f"Piece {parameters['index']}"

    def limit_s(self, parameters: Mapping[str, Any], deaths: int) -> float:
        del parameters, deaths
        return self._limit_s

    def finished(self, parameters: Mapping[str, Any], seconds: float) -> None:
        pass


class Ran(NamedTuple):
    """What became of the pieces: results, and errors of those without; workers at the end."""

    results: dict[int, Any]
    errors: dict[int, Exception]
    workers: int


@task(task_run_name="piece {index}")
def pretend(index: int, folder: Path, deeds: Mapping[int, list[str]]) -> int:
    """Each attempt does the piece's next deed, then the work."""
    with (folder / "attempts").open("a") as attempts:
        attempts.write(f"{index}\n")
    before = (folder / "attempts").read_text().split().count(str(index))
    deed = ([*deeds.get(index, []), *["work"] * before])[before - 1]
    time.sleep(0.3)
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "orphan":
        os.kill(os.getppid(), signal.SIGKILL)  # of the fork server
    elif deed == "halt server":
        os.kill(os.getppid(), signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "halt":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif deed == "slow":
        for _ in range(30):  # not at once: a process that is stopped sleeps on
            time.sleep(0.1)
    elif deed == "labour":
        for _ in range(PIECES):
            compute(PIECE_S)
            advance()
    elif deed == "turn":  # in circles
        compute(HANGS_S)
    elif deed == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        time.sleep(HANGS_S)
    elif deed == "lose gpu":
        get_run_logger().warning("Piece %d lost its GPU", index)
        leave_pool(GPU_LOST)
    elif deed == "fail":
        raise ValueError("broken")
    elif deed == "leave":  # what Prefect makes of an error outside a task's body
        raise SystemExit(3)
    return halvings()


def compute(seconds: float) -> None:
    """Use up so much of a core."""
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        pass


def a_runner(workers: int, **options: Any) -> SurvivingTaskRunner:
    """One whose workers need not import Prefect, which would take each of them three seconds."""
    return SurvivingTaskRunner(workers, preload=[__name__], **options)


def run_pieces(
    folder: Path,
    deeds: Mapping[int, list[str]],
    *,
    workers: int = 2,
    limit_s: float = 60.0,
    patience: Patience | None = None,
    **options: Any,
) -> Ran:
    """Four pieces on a runner."""

    @flow(persist_result=False)
    def run() -> Any:
        ran = Ran({}, {}, 0)
        with a_runner(workers, traits=Traits(limit_s, patience), **options) as runner:
            futures = pretend.map(list(range(COUNT)), unmapped(folder), unmapped(deeds))
            index = {future: number for number, future in enumerate(futures)}
            for future in as_completed(list(futures)):
                try:
                    ran.results[index[future]] = future.result()
                except Exception as error:
                    ran.errors[index[future]] = error
            return ran._replace(workers=runner.workers)

    ran: Ran = run()
    return ran


def attempts(folder: Path) -> list[int]:
    return [int(index) for index in (folder / "attempts").read_text().split()]
