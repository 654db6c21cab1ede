"""Measures what the worker processes of the `longscribe` command hold, beside sizing's estimate.

`python -m benchmarks.worker_memory` widens the demo model to official sizes, runs the command on a
generated recording with one worker and with two, and looks every half second at the workers'
proportional set sizes: pages that several share count once over all of them, pages of code and
weights too. Printed are the largest sum over all workers, how many times one worker's that is, the
largest sum of what is a worker's own, and the estimate of longscribe.runtime.machine.memory_demand
of the whole.

With one worker the mapped weights count as its own, as nobody else has them mapped. A worker's
memory also grows with its chunk: give --minutes 12 per worker to see full chunks of 10 accelerated
minutes.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import Sized, command_line, sized, warm_up
from benchmarks.process_tree import Workers, watch
from benchmarks.recordings import RESULTS_FOLDER, Recording, recording
from benchmarks.surroundings import describe_machine
from benchmarks.widen import WIDENABLE, widened
from longscribe.models.checkpoint import read_checkpoint
from longscribe.options import RunOptions
from longscribe.runtime.machine import memory_demand

_SAMPLE_EVERY_S = 0.5
_WARM_UP_S = 20.0


class Case(NamedTuple):
    """What to run."""

    size: str
    precision: str
    workers: int


class Held(NamedTuple):
    """What a run's workers held at most, and how it used the machine."""

    case: Case
    sized: Sized
    workers: Workers
    estimate_bytes: int
    seconds: float


def measure(case: Case, heard: Recording, folder: Path) -> Held:
    """Run the command once and look at its workers.

    Raises:
        SystemExit: the command failed, or used fewer workers than asked; its log is named.
    """
    model = widened(case.size)
    log, output = folder / "worker_memory.log", folder / "worker_memory"
    options = ["--workers", str(case.workers), "--precision", case.precision]
    watched = watch(command_line(heard.path, model, output, options), log, _SAMPLE_EVERY_S)
    if watched.exit_code != 0:
        sys.exit(f"longscribe ended with {watched.exit_code}; see {log}")
    shutil.rmtree(output)
    used = sized(log.read_text(encoding="utf-8"))
    if not used.workers == watched.workers.processes == case.workers:
        sys.exit(f"{case.workers} workers asked, {watched.workers.processes} seen; see {log}")
    estimate_bytes = estimated_bytes(model, case, used.batch_size, heard.duration_s)
    return Held(case, used, watched.workers, estimate_bytes, watched.wall_s)


def estimated_bytes(model: Path, case: Case, batch_size: int, duration_s: float) -> int:
    """The memory of all workers as the flow reckons with it, for its default options."""
    defaults = RunOptions.model_construct()
    demand = memory_demand(
        read_checkpoint(model)[0],
        min(60 * defaults.chunk_minutes, duration_s / defaults.tempo),
        defaults.best_of,
        int8=case.precision == "int8",
        batched=True,
    )
    return demand.shared_bytes + case.workers * demand.per_worker_bytes(batch_size)


_HEADINGS = (
    "model", "precision", "workers", "windows at once", "longest chunk s", "PSS of workers MB",
    "times one worker", "private MB", "estimate MB", "seconds",
)  # fmt: skip


def table_line(held: Held, alone: Held | None) -> str:
    """A run as a line of the table, compared with the same with one worker."""
    pss_bytes = held.workers.peak_pss_bytes
    cells = (
        held.case.size,
        held.case.precision,
        str(held.case.workers),
        str(held.sized.batch_size),
        f"{held.sized.longest_chunk_s:.0f}",
        f"{pss_bytes / 1e6:.0f}",
        f"{pss_bytes / alone.workers.peak_pss_bytes:.2f}" if alone else "",
        f"{held.workers.peak_private_bytes / 1e6:.0f}",
        f"{held.estimate_bytes / 1e6:.0f}",
        f"{held.seconds:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def print_table(cases: Sequence[Case], heard: Recording, short: Recording, folder: Path) -> None:
    """Run every case and print its line at once; the short recording is for warming up."""
    print("| " + " | ".join(_HEADINGS) + " |\n|---|---" + "|---:" * (len(_HEADINGS) - 2) + "|")
    warm: set[tuple[str, str]] = set()
    alone: dict[tuple[str, str], Held] = {}
    for case in cases:
        kind = (case.size, case.precision)
        if kind not in warm:
            warm_up(short.path, widened(case.size), folder, ["--precision", case.precision])
            warm.add(kind)
        held = measure(case, heard, folder)
        if case.workers == 1:
            alone[kind] = held
        print(table_line(held, alone.get(kind)), flush=True)


def main() -> None:
    """Run every size in every precision with every number of workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=WIDENABLE, default=["base", "small"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument(
        "--precision", nargs="+", choices=["int8", "float32"], default=["int8", "float32"]
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--folder", type=Path, default=RESULTS_FOLDER)
    arguments = parser.parse_args()
    heard, short = (
        recording(duration_s, arguments.seed, folder=arguments.folder)
        for duration_s in (arguments.minutes * 60, _WARM_UP_S)
    )
    cases = [
        Case(size, precision, workers)
        for size in arguments.sizes
        for precision in arguments.precision
        for workers in sorted(arguments.workers)
    ]
    print(f"{describe_machine()}; {arguments.minutes:g} minutes of recording\n")
    print_table(cases, heard, short, arguments.folder)


if __name__ == "__main__":
    main()
