"""A Dask cluster of processes, on this host or on several."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.hosts import Host
from tests.eventually import eventually

REPOSITORY = Path(__file__).parents[2]


class DaskCluster:
    """Its scheduler, and workers that come and go."""

    def __init__(self, folder: Path, host: Host | None = None) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs = 0
        where = host.address if host else "127.0.0.1"
        ports = ["--port", "0", "--no-dashboard"]
        self._scheduler = self._start(["scheduler", "--host", where, *ports], host, {})
        found = eventually(
            lambda: re.search(r"Scheduler at: +(\S+)", self.log(0)), bool, within_s=60
        )
        assert found, self.log(0)
        self.address = found[1]

    def add_worker(
        self,
        *options: str,
        host: Host | None = None,
        threads: int = 1,
        environment: Mapping[str, str] = {},
        hides: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start one, with its nanny unless told otherwise; it is there some seconds later.

        One that hides a folder finds it empty.
        """
        where = ["--host", host.address] if host else ["--host", "127.0.0.1"]
        place = ["--local-directory", str(self._folder / f"worker{self._logs}"), "--no-dashboard"]
        arguments = ["worker", self.address, "--nthreads", str(threads), *where, *place, *options]
        return self._start(arguments, host, environment, hides)

    def log(self, number: int) -> str:
        """Of the process that was started as so maniest."""
        return (self._folder / f"{number}.log").read_text()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """A worker with its nanny and all, as when a machine loses its power."""
        end(process)

    def stop(self) -> None:
        """End all of it."""
        for process in self._processes:
            end(process)

    def _start(
        self,
        arguments: Sequence[str],
        host: Host | None,
        environment: Mapping[str, str],
        hides: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        log = (self._folder / f"{self._logs}.log").open("wb")
        self._logs += 1
        command = [sys.executable, "-m", "dask", *arguments]
        if hides is not None:
            cover = 'mount -t tmpfs none "$0" && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", cover, str(hides), *command]
        if host is not None:
            command = host.command(*command)
        with log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
                start_new_session=True,
            )
        self._processes.append(process)
        return process


def end(process: subprocess.Popen[Any]) -> None:
    """A process and all that it started."""
    try:
        family = [process_ for process_ in psutil.Process(process.pid).children(recursive=True)]
    except psutil.Error:
        family = []
    for one in family:
        with suppress(psutil.Error):
            one.send_signal(signal.SIGKILL)
    process.kill()
    process.wait()


@contextmanager
def dask_cluster(folder: Path, workers: int = 0, **options: Any) -> Iterator[DaskCluster]:
    """One with so many workers on this host, ended after the block."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker(**options)
        yield cluster
    finally:
        cluster.stop()
