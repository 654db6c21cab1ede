"""The processes that carry out a worker's runs, seen from the worker: see `run_host`."""

import asyncio
import json
import os
import socket
import sys
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import psutil

_READ_BYTES: Final = 1 << 16
_LEAVES_WITHIN_S: Final = 5.0
_MODULE: Final = "longscribe.deployments.run_host"


class RunInHost:
    """A run in a host's hands, in the form that Prefect knows processes.

    Attributes:
        pid: of its host.
        returncode: None while it goes on, then 0, which tells Prefect nothing: what becomes of one
            that ended otherwise is ours to say.
        failed_with: None unless it ended without an end that the server knows: what its process
            exited with, or, negative, the signal that ended that.
        stays: its host waits for another run.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.failed_with: int | None = None
        self.stays = False

    def is_alive(self, pid: int) -> bool:
        """Whether it goes on."""
        return self.returncode is None and psutil.pid_exists(pid)

    def send_signal(self, number: int) -> None:
        """Send a signal to its host, unless that is at something else by now."""
        if self.returncode is None:
            os.kill(self.pid, number)


class Host:
    """One process, at one run at a time."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, idle_s: float, niceness: int) -> "Host":
        """Start one; its imports take it some seconds, in which an order waits."""
        ours, its = socket.socketpair()
        with its:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", _MODULE),
                *("--worker-pid", str(os.getpid()), "--descriptor", str(its.fileno())),
                *("--idle-s", str(idle_s), "--niceness", str(niceness)),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                start_new_session=True,  # Ctrl-C is for the worker
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=_READ_BYTES)
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it may take another run."""
        return self._process.returncode is None and not self._reader.at_eof()

    async def carry_out(self, run: RunInHost, flow_run_id: UUID, environment: Any) -> None:
        """Hand a run over and wait for its end, whatever that is."""
        order = {"environment": {"PREFECT__FLOW_RUN_ID": str(flow_run_id), **environment}}
        answer = b""
        with suppress(ConnectionError):
            self._writer.write(json.dumps(order).encode() + b"\n")
            await self._writer.drain()
            answer = await self._reader.readline()
        if answer:
            told = json.loads(answer)
            run.stays, run.failed_with = told["stays"], told["exit_code"] or None
        else:
            run.failed_with = await self._process.wait() or 1  # it left without an answer
        run.returncode = 0

    def kill(self) -> None:
        """End it now, whatever it is at, with all its workers."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def leave(self) -> None:
        """Let it end by itself; it is at nothing, or dead."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), _LEAVES_WITHIN_S)
        except TimeoutError:
            self.kill()
            await self._process.wait()


class Hosts:
    """Those of a worker: as many as it has runs at once, and one that is ready for the next.

    Args:
        idle_s: how long workers of chunks wait for another run, with their model, in seconds.
        niceness: added to that of this process.
    """

    def __init__(self, idle_s: float, niceness: int = 0) -> None:
        self._idle_s = idle_s
        self._niceness = niceness
        self._free: list[Host] = []

    async def start_one(self) -> None:
        """Have one that is ready, or on its way."""
        await self._forget_dead()
        if not self._free:
            self._free.append(await Host.start(self._idle_s, self._niceness))

    async def take(self) -> Host:
        """One that is at nothing: the one that was at a run last, which has most ready."""
        await self._forget_dead()
        return self._free.pop() if self._free else await Host.start(self._idle_s, self._niceness)

    async def give_back(self, host: Host, run: RunInHost) -> None:
        """After a run; one that is not as good as before is replaced."""
        if run.stays:
            self._free.append(host)
        else:
            await self.start_one()
            await host.leave()

    async def close(self) -> None:
        """Let all that are at nothing end."""
        while self._free:
            await self._free.pop().leave()

    async def _forget_dead(self) -> None:
        for host in [host for host in self._free if not host.is_alive]:
            self._free.remove(host)
            await host.leave()
