"""Runs the command on a long generated recording and measures what was promised.

`python -m benchmarks.long_recording --seconds 4442.2` makes a held-out recording with the demo's
generator, starts `longscribe` on it as a user would, watches its processes, and prints: time, word
error rate, how far the last segments are off, how busy the cores were from the first chunk's start
to the last one's end, the peak memory of parent and workers, and what came on stderr. The log is
kept beside the recording.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.process_tree import is_worker, peak_bytes
from benchmarks.recordings import Recording, recording

_SAMPLE_EVERY_S = 0.1
_FIND_PROCESSES_EVERY_S = 1.0  # that takes 10 ms, of the cores that are measured
_LAST_SEGMENTS = 20
_CHUNK_LINE = re.compile(rb"\bChunk \d+ of \d+ (started|done): .*\n")


class Sample(NamedTuple):
    """What a run had used after so many seconds, and how long its log was."""

    after_s: float
    workers_cpu_s: float
    all_cpu_s: float
    log_bytes: int


class Watched(NamedTuple):
    """What was seen of a run: wall seconds, samples of its use of the cores, peaks in bytes."""

    seconds: float
    samples: list[Sample]
    parent_peak_bytes: int
    worker_peak_bytes: dict[int, int]
    returncode: int


class Busy(NamedTuple):
    """Shares of all cores that were used from the first chunk's start to the last one's end."""

    by_workers: float
    by_all: float


class _Seen:
    """The processes of a command, those that have ended among them, and what each has used."""

    def __init__(self, command: psutil.Popen) -> None:
        self._command = command
        self._running: list[psutil.Process] = [command]
        self._cpu_s: dict[int, float] = {}
        self.worker_peak_bytes: dict[int, int] = {}

    def find(self) -> None:
        """Look for new ones, and at the memory of the workers."""
        try:
            self._running = [self._command, *self._command.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for one in self._running:
            if is_worker(one):
                peak = self.worker_peak_bytes.get(one.pid, 0)
                self.worker_peak_bytes[one.pid] = max(peak, peak_bytes(one.pid))

    def cpu_s(self) -> tuple[float, float]:
        """CPU seconds used until now: by the workers, and by all."""
        for one in self._running:
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self._cpu_s[one.pid] = times.user + times.system
        workers_s = sum(self._cpu_s.get(pid, 0.0) for pid in self.worker_peak_bytes)
        return workers_s, sum(self._cpu_s.values())


def watch(command: Sequence[str], log: Path, errors: Path) -> Watched:
    """Run a command and sample its processes until it ends."""
    started_s = time.monotonic()
    with log.open("wb") as out, errors.open("wb") as err:
        process = psutil.Popen(list(command), stdout=out, stderr=err)
        seen = _Seen(process)
        samples: list[Sample] = []
        parent_peak, find_at_s = 0, 0.0
        while process.poll() is None:
            after_s = time.monotonic() - started_s
            if after_s >= find_at_s:
                parent_peak = max(parent_peak, peak_bytes(process.pid))
                seen.find()
                find_at_s = after_s + _FIND_PROCESSES_EVERY_S
            samples.append(Sample(after_s, *seen.cpu_s(), log.stat().st_size))
            time.sleep(_SAMPLE_EVERY_S)
    workers = {pid: peak for pid, peak in seen.worker_peak_bytes.items() if peak > 0}
    seconds = time.monotonic() - started_s
    return Watched(seconds, samples, parent_peak, workers, process.returncode)


def busy(samples: Sequence[Sample], log: bytes, cores: int) -> Busy:
    """How busy the cores were from the first line about a chunk to the last one."""
    ends = [line.end() for line in _CHUNK_LINE.finditer(log)]
    first, last = (
        next(sample for sample in samples if sample.log_bytes >= end) for end in (ends[0], ends[-1])
    )
    available_s = (last.after_s - first.after_s) * cores
    return Busy(
        (last.workers_cpu_s - first.workers_cpu_s) / available_s,
        (last.all_cpu_s - first.all_cpu_s) / available_s,
    )


def main() -> None:
    """Make, run, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4442.2)
    parser.add_argument("--seed", type=int, default=4442)
    parser.add_argument("--language", default="en")
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--model", default="demo")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    heard = recording(arguments.seconds, arguments.seed, arguments.language, folder)
    log, errors = heard.path.with_suffix(".log"), heard.path.with_suffix(".stderr")
    command = [str(Path(sys.executable).with_name("longscribe")), str(heard.path)]
    command += ["--model", arguments.model, "--output-dir", str(folder), "--fresh"]
    watched = watch(command, log, errors)
    written = folder / heard.path.stem / f"{heard.path.stem}.json"
    transcript = json.loads(written.read_text(encoding="utf-8"))
    _report(heard, watched, log.read_bytes(), errors.read_text(), transcript)


def _report(
    heard: Recording, watched: Watched, log: bytes, errors: str, transcript: dict[str, Any]
) -> None:
    reference = heard.sentences()
    wer = heard.word_error_rate(transcript["text"])
    segments = transcript["segments"]
    in_order = all(a["end"] <= b["start"] for a, b in pairwise(segments))
    last = segments[-_LAST_SEGMENTS:]
    offs = sorted(_off_s(segment, reference) for segment in last)
    cores = len(os.sched_getaffinity(0))
    pace = heard.duration_s / watched.seconds
    used = busy(watched.samples, log, cores)
    shown = {
        "seconds in all": f"{watched.seconds:.1f} ({pace:.1f} x real time)",
        "exit code": watched.returncode,
        "segments": f"{len(segments)}, in order: {in_order}",
        "word error rate": f"{100 * wer:.2f} %",
        f"last {len(last)} segments off by": f"median {offs[len(offs) // 2]:.3f} s, "
        f"most {offs[-1]:.3f} s",
        "cores busy from the first chunk to the last": f"{100 * used.by_workers:.1f} % of {cores} "
        f"by workers, {100 * used.by_all:.1f} % with the command and its server",
        "parent's peak memory": f"{watched.parent_peak_bytes / 1e6:.0f} MB",
        "workers' peak memory": ", ".join(
            f"{peak / 1e6:.0f} MB" for peak in watched.worker_peak_bytes.values()
        ),
        "stderr": repr(errors[:500]),
    }
    for name, value in shown.items():
        print(f"{name}: {value}")


def _off_s(segment: dict[str, Any], reference: list[dict[str, Any]]) -> float:
    """How far a segment's start and end lie from those of the nearest true sentences."""
    start_s: float = min(abs(segment["start"] - item["start"]) for item in reference)
    end_s: float = min(abs(segment["end"] - item["end"]) for item in reference)
    return max(start_s, end_s)


if __name__ == "__main__":
    main()
