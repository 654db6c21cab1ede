"""What an hour of recording costs with the `longscribe` command, for short and for long recordings.

`python -m benchmarks.cost` transcribes 10 minutes, 1 hour and 10 hours (the hour repeated) with the
widened base model, and prints what an hour of recording took of it:

- the whole command, in seconds and core-seconds: what every command needs, such as Prefect's start,
  shows in short recordings;
- transcribing, from the first chunk's start to the last one's end: whatever grows faster than the
  recording, or is lost at chunks' ends, shows in one of the lengths;
- the chunks' own core-seconds.

`first chunk after s` runs from the start of the command until a chunk is under way, `ending s`
from the end of the last one until the command is over. Medians of `--rounds`, the lengths in
turn. Options after -- go to the command: `python -m benchmarks.cost --minutes 10 -- --speed 1.0`.
"""

import argparse
import math
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import (
    chunks_core_s,
    command_line,
    seconds_to_first_chunk,
    transcribing_s,
    warm_up,
    written_transcript,
)
from benchmarks.process_tree import Watched, watch
from benchmarks.recordings import RESULTS_FOLDER, Recording, recording, repeated
from benchmarks.surroundings import describe_machine
from benchmarks.widen import WIDENABLE, widened

_HOUR_S = 3600.0
_WARM_UP_S = 20.0


class Cost(NamedTuple):
    """One run of the command."""

    duration_s: float
    watched: Watched
    word_error_rate: float

    @property
    def hours(self) -> float:
        """Hours of recording."""
        return self.duration_s / _HOUR_S


def run_command(heard: Recording, model: Path, options: Sequence[str], folder: Path) -> Cost:
    """Transcribe a recording as a user would.

    Raises:
        SystemExit: the command failed; its log is named.
    """
    log = folder / "cost.log"
    output = folder / "cost"
    command = command_line(heard.path, model, output, options)
    # Nobody looks at its memory: that takes the processor, and stops those that are looked at.
    watched = watch(command, log, memory_every_s=math.inf)
    if watched.exit_code != 0:
        sys.exit(f"longscribe ended with {watched.exit_code}; see {log}")
    text: str = written_transcript(heard.path, output)["text"]
    shutil.rmtree(output)
    return Cost(heard.duration_s, watched, heard.word_error_rate(text))


_HEADINGS = (
    "minutes of recording", "seconds", "first chunk after s", "ending s", "x real time",
    "seconds per hour", "transcribing, seconds per hour", "core-seconds per hour",
    "chunks' core-seconds per hour", "cores busy", "WER %",
)  # fmt: skip


def table_line(costs: Sequence[Cost]) -> str:
    """The medians of runs on one recording as a line of the table."""
    rows = [_figures(cost) for cost in costs]
    medians = [statistics.median(figures) for figures in zip(*rows, strict=True)]
    cells = [f"{costs[0].duration_s / 60:g}"]
    cells += [f"{median:.{digits}f}" for median, digits in zip(medians, _DIGITS, strict=True)]
    return "| " + " | ".join(cells) + " |"


_DIGITS = (1, 1, 1, 1, 1, 2, 1, 1, 2, 2)


def _figures(cost: Cost) -> tuple[float, ...]:
    watched = cost.watched
    log = "\n".join(text for _, text in watched.lines)
    before_s, chunks_s = seconds_to_first_chunk(watched.lines), transcribing_s(watched.lines)
    return (
        watched.wall_s,
        before_s,
        watched.wall_s - before_s - chunks_s,
        cost.duration_s / watched.wall_s,
        watched.wall_s / cost.hours,
        chunks_s / cost.hours,
        watched.cpu_s / cost.hours,
        chunks_core_s(log) / cost.hours,
        watched.cores_busy,
        100 * cost.word_error_rate,
    )


def _recording(duration_s: float, seed: int, folder: Path) -> Recording:
    if duration_s <= _HOUR_S:
        return recording(duration_s, seed, folder=folder)
    return repeated(recording(_HOUR_S, seed, folder=folder), duration_s)


def main() -> None:
    """Run every length and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 60.0, 600.0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--size", choices=WIDENABLE, default="base")
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--folder", type=Path, default=RESULTS_FOLDER)
    parser.add_argument("options", nargs="*", help="of the longscribe command, after --")
    arguments = parser.parse_args()
    model = widened(arguments.size)
    recordings = [
        _recording(minutes * 60, arguments.seed, arguments.folder) for minutes in arguments.minutes
    ]
    short = recording(_WARM_UP_S, arguments.seed, folder=arguments.folder)
    warm_up(short.path, model, arguments.folder, arguments.options)
    print(f"{describe_machine()}\nlongscribe --model {model} {' '.join(arguments.options)}\n")
    print("| " + " | ".join(_HEADINGS) + " |\n" + "|---:" * len(_HEADINGS) + "|", flush=True)
    costs: list[list[Cost]] = [[] for _ in recordings]
    for _ in range(arguments.rounds):
        for heard, of_it in zip(recordings, costs, strict=True):
            of_it.append(run_command(heard, model, arguments.options, arguments.folder))
            print(table_line(of_it[-1:]), flush=True)
    if arguments.rounds > 1:
        print(f"\nMedians of {arguments.rounds} rounds:\n\n" + "\n".join(map(table_line, costs)))


if __name__ == "__main__":
    main()
