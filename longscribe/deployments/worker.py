"""`python -m longscribe.deployments.worker`: a Prefect worker that takes up what it left behind.

A worker that is stopped, as in every upgrade and reboot, leaves its runs. So the next worker of the
same name, before it starts, schedules them again (`left_runs`), and those that an automation took
for dead while it was away. While it works it looks for runs that it lost in other ways.
"""

import asyncio
import fcntl
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import click
import httpx
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_HOME,
    PREFECT_WORKER_HEARTBEAT_SECONDS,
    PREFECT_WORKER_QUERY_SECONDS,
    temporary_settings,
)
from prefect.utilities.processutils import setup_signal_handlers_worker

from longscribe.deployments.flow_process import TRANSCRIBES
from longscribe.deployments.forgotten import LOOK_EVERY_S as FORGET_EVERY_S
from longscribe.deployments.forgotten import ForgottenRecordings
from longscribe.deployments.hosts import Hosts
from longscribe.deployments.left_runs import LeftRuns, take_up
from longscribe.deployments.lost_workers import LOOK_EVERY_S, LostWorkers
from longscribe.deployments.pool_worker import PoolWorker
from longscribe.deployments.register import wait_for_server
from longscribe.errors import ServerError
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.flows.work_pool import FOR_RECORDINGS, WORK_POOL
from longscribe.wording.catalog import translatable, translated

# Beside clips, which are to be quick: a core that both want is theirs for three quarters.
_NICENESS = 5
_CLIPS_EVERY_S = 1.0  # it looks for clips, where nobody tells it (flows/wake.py)


def _lock(name: str) -> IO[str]:
    """Hold the worker's name on this machine while the file is open.

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
    help=translatable("Repeatable.  [urgent, short, default and background]"),
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
@click.option(
    "--idle-minutes",
    type=click.FloatRange(min=0),
    envvar="LONGSCRIBE_IDLE_MINUTES",
    default=15.0,
    help=translatable("How long the model waits in memory for the next recording.  [15]"),
)
@click.option(
    "--niceness",
    type=click.IntRange(0, 19),
    default=None,
    help=translatable("Of recordings, where another worker has clips.  [5; of clips and inbox 0]"),
)
def main(
    name: str | None,
    queues: tuple[str, ...],
    limit: int,
    healthcheck: bool,
    idle_minutes: float,
    niceness: int | None,
) -> None:
    """Start a worker of the pool; it goes on with what it was stopped in."""
    # The name that it had when there were two: it takes up what it was stopped in.
    name = name or f"{socket.gethostname()}-{'-'.join(queues or ('default', 'short'))}"
    queues = queues or FOR_RECORDINGS
    try:
        lock = _lock(name)
        wait_for_server()
    except ServerError as error:
        raise click.ClickException(str(error)) from None
    for run in take_up(name):
        click.echo(translated("Run {run} goes on where its worker was stopped").format(run=run))
    os.environ["LONGSCRIBE_PYTHON"] = sys.executable  # flows/work_pool.py
    if set(queues) != {"inbox"}:
        os.environ[TRANSCRIBES] = "1"
    # What runs in the folder of recordings imports nothing from there.
    os.environ["PYTHONSAFEPATH"] = "1"
    # Prefect answers SIGTERM with SIGINT to itself (prefect/utilities/processutils), which the
    # background jobs of a shell script ignore: such a worker would not stop.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if niceness is None:
        niceness = _NICENESS if "default" in queues else 0
    look_every_s = PREFECT_WORKER_QUERY_SECONDS.value()
    if "clips" in queues:
        look_every_s = min(look_every_s, _CLIPS_EVERY_S)
    with (
        lock,
        temporary_settings({PREFECT_WORKER_QUERY_SECONDS: look_every_s}),
        suppress(asyncio.CancelledError, KeyboardInterrupt),
    ):
        asyncio.run(_work(name, queues, limit, healthcheck, Hosts(60 * idle_minutes, niceness)))


async def _work(
    name: str, queues: tuple[str, ...], limit: int, healthcheck: bool, hosts: Hosts
) -> None:
    # After asyncio's own handler of SIGINT, to which they pass it on.
    setup_signal_handlers_worker(os.getpid(), "the worker", click.echo)
    worker = PoolWorker(
        hosts,
        name=name,
        work_pool_name=WORK_POOL,
        work_queues=list(queues),
        limit=limit,
        heartbeat_interval_seconds=int(PREFECT_WORKER_HEARTBEAT_SECONDS.value()),
    )
    looking = [
        asyncio.create_task(_look_for_lost(LostWorkers(name, take_up))),
        asyncio.create_task(_look_for_left(LeftRuns(name, worker.at))),
        asyncio.create_task(_forget_what_was_deleted(ForgottenRecordings.from_environment())),
    ]
    try:
        await worker.start(with_healthcheck=healthcheck, printer=click.echo)
    except asyncio.CancelledError:
        click.echo(f"Worker {name!r} stopped!")
        raise
    finally:
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


async def _look_for_lost(lost: LostWorkers) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        with suppress(httpx.HTTPError, PrefectHTTPStatusError):  # no server: later
            for run in await asyncio.to_thread(lost.look):
                line = translated("Run {run} goes on elsewhere: its worker's machine is gone")
                click.echo(line.format(run=run))


async def _look_for_left(left: LeftRuns) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        with suppress(httpx.HTTPError, PrefectHTTPStatusError):  # no server: later
            for run in await asyncio.to_thread(left.look):
                click.echo(translated("Run {run} goes on: it had been lost").format(run=run))


async def _forget_what_was_deleted(recordings: ForgottenRecordings) -> None:
    while True:
        with suppress(OSError):  # the folder is away: later
            await asyncio.to_thread(recordings.look)
        await asyncio.sleep(FORGET_EVERY_S)


if __name__ == "__main__":
    main()
