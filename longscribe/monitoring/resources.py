"""CPU and memory of a run's processes, sampled while it runs and kept small for ten hours of it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import psutil

_MOST_SAMPLES: Final = 600  # as many as a plot has pixels for; beyond, neighbours become one
_PSS_EVERY_S: Final = 5.0  # the kernel walks every page table for it


class ProcessSample(NamedTuple):
    """One process: its CPU in per cent of one core since the sample before, and its memory.

    `rss_bytes` counts pages that several processes share in full in each of them.
    """

    pid: int
    cpu_percent: float
    rss_bytes: int


class ResourceSample(NamedTuple):
    """A run's processes at one moment of the machine's monotonic clock.

    Attributes:
        at_s: the moment.
        workers: one sample each.
        cpu_percent: of the workers and their parent together, 100 for one busy core.
        memory_bytes: of all of them, pages that they share counted once where the kernel tells.
    """

    at_s: float
    workers: tuple[ProcessSample, ...]
    cpu_percent: float
    memory_bytes: int


class Sampler:
    """Looks at this process and its workers; the first look at a process finds 0 % CPU."""

    def __init__(self) -> None:
        self._parent = psutil.Process()
        self._workers: dict[int, psutil.Process] = {}
        self._pss_at_s = float("-inf")
        self._shared_bytes = 0

    def sample(self, pids: Iterable[int], now_s: float) -> ResourceSample:
        """How things are now.

        Args:
            pids: of the workers; those that are gone are left out.
            now_s: of the machine's monotonic clock.
        """
        wanted = set(pids)
        for pid in wanted - self._workers.keys():
            with suppress(psutil.Error):
                self._workers[pid] = psutil.Process(pid)
        for pid in self._workers.keys() - wanted:
            del self._workers[pid]
        parent = _look(self._parent)
        looks = (_look(process) for _, process in sorted(self._workers.items()))
        workers = tuple(look for look in looks if look is not None)
        everyone = [*workers, *([parent] if parent else [])]
        rss_bytes = sum(one.rss_bytes for one in everyone)
        if now_s - self._pss_at_s >= _PSS_EVERY_S:
            self._pss_at_s = now_s
            self._shared_bytes = max(0, rss_bytes - self._pss_bytes(rss_bytes))
        return ResourceSample(
            at_s=now_s,
            workers=workers,
            cpu_percent=sum(one.cpu_percent for one in everyone),
            memory_bytes=max(0, rss_bytes - self._shared_bytes),
        )

    def _pss_bytes(self, otherwise: int) -> int:
        """Memory in all with shared pages counted once; only Linux tells."""
        total = 0
        for process in (self._parent, *self._workers.values()):
            try:
                total += process.memory_full_info().pss
            except AttributeError:
                return otherwise
            except psutil.Error:
                continue
        return total


class Samples:
    """The samples of a run, at most some hundreds: a longer run's are joined with neighbours."""

    def __init__(self, most: int = _MOST_SAMPLES) -> None:
        self._most = most
        self._kept: list[ResourceSample] = []
        self._fresh: list[ResourceSample] = []
        self._stride = 1

    def add(self, sample: ResourceSample) -> None:
        """Keep a sample."""
        self._fresh.append(sample)
        if len(self._fresh) < self._stride:
            return
        self._kept.append(_joined(self._fresh))
        self._fresh = []
        if len(self._kept) > self._most:
            pairs = [self._kept[at : at + 2] for at in range(0, len(self._kept), 2)]
            self._kept = [_joined(pair) for pair in pairs]
            self._stride *= 2

    def all(self) -> tuple[ResourceSample, ...]:
        """The samples in order."""
        return (*self._kept, *([_joined(self._fresh)] if self._fresh else []))


def _look(process: psutil.Process) -> ProcessSample | None:
    try:
        with process.oneshot():
            return ProcessSample(
                process.pid, process.cpu_percent(interval=None), process.memory_info().rss
            )
    except psutil.Error:
        return None


def _joined(samples: Sequence[ResourceSample]) -> ResourceSample:
    """Several samples as one: CPU on average, memory at its peak."""
    by_pid: dict[int, list[ProcessSample]] = {}
    for sample in samples:
        for worker in sample.workers:
            by_pid.setdefault(worker.pid, []).append(worker)
    return ResourceSample(
        at_s=samples[-1].at_s,
        workers=tuple(
            ProcessSample(
                pid,
                sum(one.cpu_percent for one in looks) / len(looks),
                max(one.rss_bytes for one in looks),
            )
            for pid, looks in by_pid.items()
        ),
        cpu_percent=sum(sample.cpu_percent for sample in samples) / len(samples),
        memory_bytes=max(sample.memory_bytes for sample in samples),
    )
