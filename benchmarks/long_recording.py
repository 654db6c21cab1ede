"""Runs the command on a long generated recording and measures what was promised.

`python -m benchmarks.long_recording --seconds 4442.2` makes a held-out recording with the demo's
generator, starts `longscribe` on it as a user would, watches its processes, and prints: time, word
error rate, how far the last segments are off, how busy the cores were while chunks ran, the peak
memory of parent and workers, and what came on stderr. The log is kept beside the recording.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.process_tree import is_worker
from benchmarks.recordings import Recording, recording

_SAMPLE_EVERY_S = 0.25
_LAST_SEGMENTS = 20


class Watched(NamedTuple):
    """What was seen of a run: wall seconds, CPU seconds of the workers by time, peaks in bytes."""

    seconds: float
    worker_cpu: list[tuple[float, float]]
    parent_peak_bytes: int
    worker_peak_bytes: dict[int, int]
    returncode: int


def watch(command: Sequence[str], log: Path, errors: Path) -> Watched:
    """Run a command and sample its processes until it ends."""
    started_s = time.monotonic()
    with log.open("wb") as out, errors.open("wb") as err:
        process = psutil.Popen(list(command), stdout=out, stderr=err)
        cpu_s: dict[int, float] = {}
        peaks: dict[int, int] = {}
        samples: list[tuple[float, float]] = []
        parent_peak = 0
        while process.poll() is None:
            parent_peak = max(parent_peak, _peak_bytes(process.pid))
            try:
                for child in process.children(recursive=True):
                    if is_worker(child):
                        times = child.cpu_times()
                        cpu_s[child.pid] = times.user + times.system
                        peaks[child.pid] = max(peaks.get(child.pid, 0), _peak_bytes(child.pid))
            except psutil.NoSuchProcess:
                pass
            samples.append((time.time(), sum(cpu_s.values())))
            time.sleep(_SAMPLE_EVERY_S)
    workers = {pid: peak for pid, peak in peaks.items() if peak > 0}
    seconds = time.monotonic() - started_s
    return Watched(seconds, samples, parent_peak, workers, process.returncode)


def busy_share(watched: Watched, log: str, cores: int) -> float:
    """CPU used by the workers from the first chunk's start to the last one's end, of all cores."""
    stamps = [
        line[:8] for line in log.splitlines() if line[9:15] == "Chunk " and line[15:16].isdigit()
    ]
    day = time.strftime("%Y-%m-%d ")
    first_s, last_s = (
        time.mktime(time.strptime(day + stamp, "%Y-%m-%d %H:%M:%S"))
        for stamp in (stamps[0], stamps[-1])
    )
    inside = [(at_s, cpu_s) for at_s, cpu_s in watched.worker_cpu if first_s <= at_s <= last_s + 1]
    (start_s, before_s), (end_s, after_s) = inside[0], inside[-1]
    return (after_s - before_s) / (end_s - start_s) / cores


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
    command += ["--model", arguments.model, "--output-dir", str(folder)]
    watched = watch(command, log, errors)
    written = folder / heard.path.stem / f"{heard.path.stem}.json"
    transcript = json.loads(written.read_text(encoding="utf-8"))
    _report(heard, watched, log.read_text(), errors.read_text(), transcript)


def _report(
    heard: Recording, watched: Watched, log: str, errors: str, transcript: dict[str, Any]
) -> None:
    reference = heard.sentences()
    wer = heard.word_error_rate(transcript["text"])
    segments = transcript["segments"]
    in_order = all(a["end"] <= b["start"] for a, b in pairwise(segments))
    last = segments[-_LAST_SEGMENTS:]
    offs = sorted(_off_s(segment, reference) for segment in last)
    cores = len(os.sched_getaffinity(0))
    pace = heard.duration_s / watched.seconds
    shown = {
        "seconds in all": f"{watched.seconds:.1f} ({pace:.1f} x real time)",
        "exit code": watched.returncode,
        "segments": f"{len(segments)}, in order: {in_order}",
        "word error rate": f"{100 * wer:.2f} %",
        f"last {len(last)} segments off by": f"median {offs[len(offs) // 2]:.3f} s, "
        f"most {offs[-1]:.3f} s",
        "cores busy while chunks ran": f"{100 * busy_share(watched, log, cores):.1f} % of {cores}",
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


def _peak_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    main()
