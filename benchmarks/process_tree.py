"""Runs a command and measures everything it starts: time, cores, memory."""

import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_SAMPLE_EVERY_S = 0.25
_MEMORY_EVERY_S = 1.0  # the kernel walks every page table for it


class Watched(NamedTuple):
    """What a command and its descendants took.

    The memory is the largest sum seen of proportional set sizes: a page that n processes share
    counts 1/n in each.
    """

    wall_s: float
    cpu_s: float
    peak_pss_bytes: int
    exit_code: int

    @property
    def cores_busy(self) -> float:
        """Cores that were busy on average."""
        return self.cpu_s / self.wall_s


def watch(command: Sequence[str], log: Path) -> Watched:
    """Run a command to its end, its output in a log file."""
    before_s = _children_cpu_s()
    started_s = time.monotonic()
    cpu_s: dict[int, float] = {}
    peak_bytes, memory_due_s = 0, 0.0
    with log.open("wb") as out:
        process = psutil.Popen(list(command), stdout=out, stderr=out)
        while process.poll() is None:
            tree = _tree(process)
            cpu_s.update({one.pid: seconds for one in tree if (seconds := _cpu_s(one)) is not None})
            now_s = time.monotonic()
            if now_s >= memory_due_s:
                peak_bytes = max(peak_bytes, sum(pss_bytes(one.pid) for one in tree))
                memory_due_s = now_s + _MEMORY_EVERY_S
            time.sleep(_SAMPLE_EVERY_S)
    wall_s = time.monotonic() - started_s
    # The kernel's own sum is exact, but leaves out descendants whose parent did not wait for them.
    used_s = max(_children_cpu_s() - before_s, sum(cpu_s.values()))
    return Watched(wall_s, used_s, peak_bytes, process.returncode)


def pss_bytes(pid: int) -> int:
    """The proportional set size of a process; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _tree(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
