"""What happens inside a Dask worker, around the tasks that a run gives it.

A Dask worker is not the run's own: it was there before, serves others, and stays. So nothing here
sets anything that outlasts a task, and a task that nobody wants any more ends by itself.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ctypes import c_uint64
from typing import Any, Final, NamedTuple

from longscribe.runtime.worker_progress import Unwanted, count_in
from longscribe.task_runner.effort import Vitals, vitals_of
from longscribe.task_runner.inside import Outcome, perform, set_worker_number

_FORGOTTEN_S: Final = 120.0  # without a look by its run, a task's work is for nobody

_files: dict[str, bytes] | None = None  # that the task of this process wrote, to be kept elsewhere
_attachments: dict[str, bytes] = {}  # of the task of this process


class Order(NamedTuple):
    """A call for a Dask worker.

    Attributes:
        run: of the run, which is told what its earlier orders said too late.
        token: of this attempt, which names what was sent ahead for it.
        number: what the run knows the worker by.
        call: pickled by Prefect, to be called without arguments.
        halvings: how often memory ran out.
        clock_s: the run's monotonic clock when it was sent.
    """

    run: str
    token: str
    number: int
    call: Callable[[], bytes]
    halvings: int
    clock_s: float


class Report(NamedTuple):
    """What came of an order.

    Attributes:
        outcome: of its call.
        files: that it wrote, for the run to keep, by their paths there.
        messages: of Prefect, that the run has not seen yet.
    """

    outcome: Outcome
    files: dict[str, bytes]
    messages: list[Any]


class Look(NamedTuple):
    """How an order is going; messages of Prefect since the last look."""

    vitals: Vitals | None
    messages: list[Any]


class _Site:
    """The orders of this process, of which one is worked on at a time."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.received: dict[str, dict[str, bytes]] = {}
        self.cancelled: deque[str] = deque(maxlen=1000)
        self.messages: deque[Any] = deque()
        self.run = ""  # of the last order
        self.token = ""  # of the order that is worked on
        self.thread: int | None = None
        self.count = c_uint64()
        self.looked_s = 0.0
        self.clock_offset_s = 0.0

    def put(self, message: Any) -> None:
        """Takes Prefect's messages in the place of a queue."""
        self.messages.append(message)

    def taken(self) -> list[Any]:
        messages = []
        with suppress(IndexError):
            while True:
                messages.append(self.messages.popleft())
        return messages

    def is_wanted(self) -> bool:
        is_forgotten = time.monotonic() - self.looked_s > _FORGOTTEN_S
        return not is_forgotten and self.token not in self.cancelled


_site: _Site | None = None


def _here() -> _Site:
    global _site
    if _site is None:
        _site = _Site()
    return _site


def attachment(name: str) -> bytes | None:
    """In a task on a cluster: what was sent along with it; None where nothing was."""
    return _attachments.get(name)


def returned_files() -> dict[str, bytes] | None:
    """In a task on a cluster: where files go that the run is to keep; None on its own machine."""
    return _files


def clock_offset_s() -> float:
    """What the run's monotonic clock is ahead of this process's; 0 on its own machine."""
    return _site.clock_offset_s if _site is not None else 0.0


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Run by a client on a worker: Dask's own loop goes on meanwhile."""
    return await asyncio.to_thread(function, *args)


async def receive(token: str, name: str, content: bytes) -> None:
    """Run by a client on a worker: take what belongs to an order that follows."""
    _here().received.setdefault(token, {})[name] = content


async def look(token: str) -> Look:
    """Run by a client on a worker, every few seconds while an order is worked on."""
    site = _here()
    if site.token != token:
        return Look(None, [])  # it waits for another run's
    site.looked_s = time.monotonic()
    return Look(vitals_of(os.getpid(), site.count.value, site.thread), site.taken())


async def cancel(token: str) -> bool:
    """Run by a client on a worker: an order is not wanted any more; whether it is worked on."""
    site = _here()
    site.cancelled.append(token)
    site.received.pop(token, None)
    return site.token == token


async def leave() -> None:
    """Run by a client on a worker that is stuck: Dask's nanny starts another in its place."""
    os._exit(1)


def work(order: Order) -> Report:
    """A task of Dask: carry out an order, when those before it are done."""
    # Only here: a worker that never gets a chunk needs no Prefect.
    from longscribe.task_runner.prefect_parts import prefect_through

    global _files, _attachments
    site = _here()
    with site.turn:
        _attachments = site.received.pop(order.token, {})
        _files = {}
        if site.run != order.run:
            site.run = order.run
            site.taken()
        set_worker_number(order.number)
        site.count = c_uint64()
        site.thread, site.looked_s = threading.get_native_id(), time.monotonic()
        site.clock_offset_s = order.clock_s - time.monotonic()
        site.token = order.token
        count_in(site.count, site.is_wanted)
        try:
            if not site.is_wanted():
                return Report(Outcome(error=Unwanted.__name__), {}, [])
            with prefect_through(site):
                outcome = perform(order.call, order.halvings)
            return Report(outcome, _files, site.taken())
        finally:
            count_in(c_uint64())
            site.token, site.thread = "", None
            _files, _attachments = None, {}
