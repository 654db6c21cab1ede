"""What a worker puts into its task, and for how long it has shown nothing for it."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil


class Patience(NamedTuple):
    """How long a worker may show no progress; a task on a machine that is busy takes no more of it.

    Attributes:
        computing_s: on a core, without finishing anything: it turns in circles.
        waiting_s: for something that is not a core, or stopped by a signal: it hangs.
    """

    computing_s: float
    waiting_s: float


class Vitals(NamedTuple):
    """What a process has done since it started.

    Attributes:
        progress: differs from the last one's where it got on.
        computed_s: on a core.
        queued_s: it could have gone on, had there been a core for it.
    """

    progress: tuple[int, int]
    computed_s: float
    queued_s: float


def vitals_of(pid: int, count: int, thread: int | None = None) -> Vitals | None:
    """Of a process, by the thread that does its task; None where it is gone.

    Args:
        pid: of the process.
        count: of the pieces of work that it finished. What it read from a disk counts beside them:
            a large model on a slow one.
        thread: its number to the kernel; None for the process's first.
    """
    read_bytes = 0
    try:
        process = psutil.Process(pid)
        with suppress(psutil.AccessDenied, NotImplementedError):
            read_bytes = process.io_counters().read_bytes
        try:
            # proc(5): nanoseconds on a core, and in the queue for one. Kernels may be without it.
            on_core, queued, _ = map(int, _schedstat(pid, thread or pid).split())
        except (FileNotFoundError, PermissionError, ValueError):
            times = process.cpu_times()
            on_core, queued = int(1e9 * (times.user + times.system)), 0
    except (psutil.Error, OSError):
        return None
    return Vitals((count, read_bytes), on_core / 1e9, queued / 1e9)


def _schedstat(pid: int, thread: int) -> str:
    return Path(f"/proc/{pid}/task/{thread}/schedstat").read_text()


class Effort:
    """A worker's time at one task, as the supervising thread sees it, look by look.

    Attributes:
        own_s: its time so far; while others had the cores, or the whole run was stopped, it had
            none.
    """

    def __init__(self, now_s: float) -> None:
        self.own_s = 0.0
        self._seen_s = now_s
        self._seen: Vitals | None = None
        self._computed_s = self._waited_s = 0.0  # since its last progress

    @property
    def idle_s(self) -> float:
        """Its time since it last showed progress."""
        return self._computed_s + self._waited_s

    def look(self, now_s: float, vitals: Vitals | None) -> None:
        """See how far it is.

        Args:
            now_s: on a clock that stands still while the whole run does.
            vitals: None where there is no process yet.
        """
        passed_s = now_s - self._seen_s
        computed_s = queued_s = 0.0
        if vitals and self._seen:
            computed_s = min(passed_s, vitals.computed_s - self._seen.computed_s)
            queued_s = min(passed_s, vitals.queued_s - self._seen.queued_s)
        waited_s = max(0.0, passed_s - computed_s - queued_s)
        self.own_s += computed_s + waited_s
        self._computed_s += computed_s
        self._waited_s += waited_s
        if vitals and (self._seen is None or vitals.progress != self._seen.progress):
            self._computed_s = self._waited_s = 0.0
        self._seen_s, self._seen = now_s, vitals

    def is_beyond(self, patience: Patience) -> bool:
        """Whether it has shown no progress for too long."""
        return self._computed_s > patience.computing_s or self._waited_s > patience.waiting_s
