"""Runs a command and measures everything it starts: time, cores, memory, when it said what."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import psutil

_SAMPLE_EVERY_S = 0.25
_MEMORY_EVERY_S = 1.0  # the kernel walks every page table for it
_LAST_LINES_S = 10.0  # for output still in the pipe when the command has ended
_FORK_SERVER_MARK = "multiprocessing.forkserver"  # in its command line, and in its children's


def peak_bytes(pid: int | str = "self") -> int:
    """The most that a process ever held; 0 where it is gone.

    Not getrusage's figure, which begins with what the process held that this one was forked off.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    held = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(next(held, 0))


class Memory(NamedTuple):
    """What a process holds: a page that n processes share counts 1/n in `pss_bytes`.

    `private_bytes` are the pages that no other process has mapped at the moment, pages of a file
    among them.
    """

    pss_bytes: int
    private_bytes: int


class Workers(NamedTuple):
    """The processes of a command's pool: how many at most, and the largest sums seen."""

    processes: int
    peak_pss_bytes: int
    peak_private_bytes: int


class Line(NamedTuple):
    """A line of output, and the seconds after which it came."""

    after_s: float
    text: str


class Watched(NamedTuple):
    """What a command and its descendants took.

    The memory is the largest sum seen of proportional set sizes: pages that several share count
    once.
    """

    wall_s: float
    cpu_s: float
    peak_pss_bytes: int
    workers: Workers
    exit_code: int
    lines: tuple[Line, ...]

    @property
    def cores_busy(self) -> float:
        """Cores that were busy on average."""
        return self.cpu_s / self.wall_s


def watch(command: Sequence[str], log: Path, memory_every_s: float = _MEMORY_EVERY_S) -> Watched:
    """Run a command to its end, its output in a log file, its memory looked at every so often."""
    before_s = _children_cpu_s()
    lines: list[Line] = []
    cpu_s: dict[int, float] = {}
    peak_bytes, workers, memory_due_s = 0, Workers(0, 0, 0), 0.0
    started_s = time.monotonic()
    process = psutil.Popen(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    reader = threading.Thread(
        target=_keep_lines, args=(process.stdout, log, started_s, lines), daemon=True
    )
    reader.start()
    while True:
        tree = _tree(process)
        cpu_s.update({one.pid: seconds for one in tree if (seconds := _cpu_s(one)) is not None})
        now_s = time.monotonic()
        if now_s >= memory_due_s:
            held = [(memory_of(one.pid), is_worker(one)) for one in tree]
            peak_bytes = max(peak_bytes, sum(memory.pss_bytes for memory, _ in held))
            workers = _larger(workers, [memory for memory, is_worker in held if is_worker])
            memory_due_s = now_s + memory_every_s
        try:
            process.wait(min(_SAMPLE_EVERY_S, memory_every_s))
            break
        except psutil.TimeoutExpired:
            continue
    wall_s = time.monotonic() - started_s
    reader.join(_LAST_LINES_S)
    # The kernel's own sum is exact, but leaves out descendants whose parent did not wait for them.
    used_s = max(_children_cpu_s() - before_s, sum(cpu_s.values()))
    return Watched(wall_s, used_s, peak_bytes, workers, process.returncode, tuple(lines))


def memory_of(pid: int) -> Memory:
    """The memory of a process; nothing when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return Memory(0, 0)
    fields = [line.split() for line in text.splitlines()[1:]]
    kilobytes = {field[0]: int(field[1]) for field in fields}
    private = kilobytes["Private_Clean:"] + kilobytes["Private_Dirty:"]
    return Memory(1024 * kilobytes["Pss:"], 1024 * private)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _keep_lines(output: IO[bytes], log: Path, started_s: float, lines: list[Line]) -> None:
    with output, log.open("wb") as kept:
        for line in output:
            lines.append(Line(time.monotonic() - started_s, line.decode(errors="replace")))
            kept.write(line)
            kept.flush()


def _larger(workers: Workers, held: Sequence[Memory]) -> Workers:
    seen = Workers(
        len(held), sum(one.pss_bytes for one in held), sum(one.private_bytes for one in held)
    )
    return Workers(*(max(pair) for pair in zip(workers, seen, strict=True)))


def _tree(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_worker(process: psutil.Process) -> bool:
    """Whether a process was forked by multiprocessing's fork server: one of a run's pool."""
    try:
        parent = process.parent()
        return parent is not None and _has_mark(process) and _has_mark(parent)
    except psutil.Error:
        return False


def is_fork_server(process: psutil.Process) -> bool:
    """Whether a process is multiprocessing's fork server itself."""
    try:
        return _has_mark(process) and not is_worker(process)
    except psutil.Error:
        return False


def _has_mark(process: psutil.Process) -> bool:
    return _FORK_SERVER_MARK in " ".join(process.cmdline())


def _cpu_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
