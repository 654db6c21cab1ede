"""`python -m longscribe.deployments.worker`: a Prefect worker that takes up what it left behind.

A worker that is stopped, as in every upgrade and reboot, ends its runs at once, and they stay
"Running" for ever (https://github.com/PrefectHQ/prefect/issues/22528). So the next worker of the
same name, before it starts, schedules them again: the same runs, which find their finished chunks.
"""

import fcntl
import os
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.settings import PREFECT_HOME
from prefect.states import AwaitingRetry, Cancelled, Crashed

from longscribe.deployments.flow_process import TRANSCRIBES
from longscribe.deployments.register import wait_for_server
from longscribe.errors import ServerError
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.flows.work_pool import WORK_POOL
from longscribe.wording.catalog import translatable, translated

_MOST_STARTS = 10  # a run that takes its worker down each time must not do so for ever
_LEFT_BEHIND = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def take_up(name: str) -> list[str]:
    """Schedule again the runs of a worker that is no more.

    Args:
        name: the worker's name, which Prefect writes on every run a worker takes.

    Returns:
        The names of the runs that go on.
    """
    goes_on = []
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_LEFT_BEHIND))
            ),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL])),
        ):
            if run.labels.get("prefect.worker.name") != name:
                continue
            _end_orphan(run)
            if _next_state(client, run):
                goes_on.append(run.name)
    return goes_on


def _next_state(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Whether the run goes on; its state says so too."""
    if run.state_type == StateType.CANCELLING:
        client.set_flow_run_state(
            run.id, Cancelled(message=translated("Its worker was stopped.")), force=True
        )
        return False
    if run.run_count >= _MOST_STARTS:
        message = translated(
            "Its worker ended {count} times while it ran; retry it by hand."
        ).format(count=run.run_count)
        client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        return False
    state: State[Any] = AwaitingRetry(
        scheduled_time=datetime.now(UTC),
        message=translated("Its worker was stopped; what was done is kept."),
    )
    client.set_flow_run_state(run.id, state, force=True)
    return True


def _end_orphan(run: FlowRun) -> None:
    """End a flow process that outlived its worker, as after SIGKILL, with all its children."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run.id):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _lock(name: str) -> IO[str]:
    """Hold the worker's name on this machine; the file stays locked over `exec`.

    Raises:
        ServerError: a worker of this name runs already.
    """
    folder = Path(PREFECT_HOME.value())
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / f"worker-{name}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        sentence = translated("a worker named {name!r} runs here; --name gives another.")
        raise ServerError(sentence.format(name=name)) from None
    os.set_inheritable(file.fileno(), True)
    return file


@click.command(
    cls=TranslatedCommand,
    help=translatable("Start a worker of the pool; it goes on with what it was stopped in."),
)
@click.option(
    "--name", default=None, help=translatable("Another for each worker.  [host and queues]")
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    help=translatable("Repeatable.  [default and short]"),
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=1,
    help=translatable("Runs at once.  [1]"),
)
@click.option(
    "--healthcheck",
    is_flag=True,
    help=translatable("Answer /health on PREFECT_WORKER_WEBSERVER_PORT."),
)
def main(name: str | None, queues: tuple[str, ...], limit: int, healthcheck: bool) -> None:
    """Start a worker of the pool; it goes on with what it was stopped in."""
    queues = queues or ("default", "short")
    name = name or f"{socket.gethostname()}-{'-'.join(queues)}"
    try:
        lock = _lock(name)
        wait_for_server()
    except ServerError as error:
        raise click.ClickException(str(error)) from None
    for run in take_up(name):
        click.echo(translated("Run {run} goes on where its worker was stopped").format(run=run))
    command = [sys.executable, "-m", "prefect", "worker", "start"]
    command += ["--pool", WORK_POOL, "--name", name, "--limit", str(limit)]
    if healthcheck:
        command.append("--with-healthcheck")
    for queue in queues:
        command += ["--work-queue", queue]
    assert not lock.closed
    os.environ["LONGSCRIBE_PYTHON"] = sys.executable  # flows/work_pool.py
    if set(queues) != {"inbox"}:
        os.environ[TRANSCRIBES] = "1"
    # What runs in the folder of recordings imports nothing from there.
    os.environ["PYTHONSAFEPATH"] = "1"
    # Prefect answers SIGTERM with SIGINT to itself (prefect/utilities/processutils.py), which the
    # background jobs of a shell script ignore: such a worker would not stop.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # exec: SIGTERM has to arrive at Prefect's own handler.
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
