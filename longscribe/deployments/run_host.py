"""`python -P -m longscribe.deployments.run_host`: a process that carries out one run after another.

What a worker of ours starts, instead of a process for each run. It has imported Prefect, the flow
and, in its fork server, torch before the first run comes; after one, the workers of its chunks stay
with their model and kernels for the next, until none has come for some time. A run that fails
leaves all that as it is; where one was stopped, or the process was killed, there is another host.
"""

import argparse
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

from longscribe.deployments.flow_process import TRANSCRIBES
from longscribe.runtime.fork_server import start_fork_server
from longscribe.runtime.importing import without_collections
from longscribe.runtime.lifetime import end_with_parent, show_as
from longscribe.tasks.preload import PRELOAD

# What a process has seen of so many runs it need not keep: the next one begins with less memory.
_MOST_RUNS: Final = 500


def main() -> None:
    """Carry out runs until the worker closes the connection."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--worker-pid", type=int, required=True)
    asked.add_argument("--descriptor", type=int, required=True)
    asked.add_argument("--idle-s", type=float, required=True)
    asked.add_argument("--niceness", type=int, default=0)
    options = asked.parse_args()
    end_with_parent(options.worker_pid)
    show_as("longscribe-host")
    if options.niceness:
        os.nice(options.niceness)
    transcribes = bool(os.environ.get(TRANSCRIBES))
    if transcribes:
        start_fork_server(PRELOAD)
    with without_collections():
        _import_flows(transcribes)
    with socket.socket(fileno=options.descriptor) as worker:
        _serve(worker, options.idle_s)


def _import_flows(transcribes: bool) -> None:
    """What every run needs, before there is one."""
    import longscribe.flows.late_imports

    if transcribes:
        import longscribe.flows.transcribe
    else:
        import longscribe.flows.inbox  # noqa: F401


def _serve(worker: socket.socket, idle_s: float) -> None:
    from prefect.settings import temporary_settings

    from longscribe.task_runner import keeping_workers

    done = 0
    # The worker sends heartbeats (`heartbeats`), and it has asked whether the server is of this
    # version: no client of a run need ask again.
    spared = {"flows.heartbeat_frequency": None, "client.server_version_check_enabled": False}
    with worker.makefile("rb") as orders, temporary_settings(spared):
        order = _next(worker, orders, None)
        while order:
            with _keeping(keeping_workers, idle_s):
                while order:
                    exit_code, stays = _carry_out(order)
                    done += 1
                    stays = stays and done < _MOST_RUNS
                    answer = {"exit_code": exit_code, "stays": stays}
                    worker.sendall(json.dumps(answer).encode() + b"\n")
                    if not stays:
                        return
                    order = _next(worker, orders, idle_s)
            if order is None:  # nothing came for some time: what was kept has left
                order = _next(worker, orders, None)


@contextmanager
def _keeping(keeping_workers: Any, idle_s: float) -> Iterator[None]:
    if not idle_s:
        yield
        return
    with keeping_workers():
        yield


def _next(worker: socket.socket, orders: IO[bytes], idle_s: float | None) -> Any:
    """The worker's next order; None after so many seconds without, and empty when it is gone."""
    ready, _, _ = select.select([worker], [], [], idle_s)
    if not ready:
        return None
    line = orders.readline()  # one order at a time: nothing lies in the file's buffer
    return json.loads(line) if line else {}


def _carry_out(order: dict[str, Any]) -> tuple[int, bool]:
    """One run, as `python -m prefect.engine` does it.

    Returns:
        what that would have exited with, and whether this process is as good as before.
    """
    from prefect.exceptions import TerminationSignal

    arguments, sys.argv = sys.argv, sys.argv[:1]
    sys.modules.pop("prefect.engine", None)  # runpy warns of running what was imported
    try:
        with _environment_of(order["environment"]):
            runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        stopped_by = ended.__context__
        is_stopped = isinstance(stopped_by, TerminationSignal | KeyboardInterrupt)
        return code, code == 0 and not is_stopped
    finally:
        sys.argv = arguments
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return 0, True


@contextmanager
def _environment_of(order: Mapping[str, str]) -> Iterator[None]:
    """While the block lasts, what an order says is in the environment; the next may say less."""
    before = {name: os.environ.get(name) for name in order}
    os.environ.update(order)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


if __name__ == "__main__":
    main()
