"""What an hour of recording costs with the `longscribe` command, for short and for long recordings.

`python -m benchmarks.cost` transcribes 10 minutes, 1 hour and 10 hours (the hour repeated) with the
widened base model, and prints seconds and core-seconds per hour of recording: fixed costs show in
the short ones, whatever grows with the length in the long ones; "chunks' core-seconds" leave the
fixed costs out. `first chunk after s` is the time from the command's start until a chunk is under
way. Options after -- go to the command: `python -m benchmarks.cost --minutes 10 60 -- --speed 1.0`.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import (
    chunks_core_s,
    command_line,
    seconds_to_first_chunk,
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
    watched = watch(command_line(heard.path, model, output, options), log)
    if watched.exit_code != 0:
        sys.exit(f"longscribe ended with {watched.exit_code}; see {log}")
    text: str = written_transcript(heard.path, output)["text"]
    shutil.rmtree(output)
    return Cost(heard.duration_s, watched, heard.word_error_rate(text))


_HEADINGS = (
    "minutes of recording", "seconds", "first chunk after s", "x real time", "seconds per hour",
    "core-seconds per hour", "chunks' core-seconds per hour",
    "cores busy", "peak memory MB", "WER %",
)  # fmt: skip


def table_line(cost: Cost) -> str:
    """A run as a line of the table."""
    watched = cost.watched
    log = "\n".join(text for _, text in watched.lines)
    cells = (
        f"{cost.duration_s / 60:g}",
        f"{watched.wall_s:.1f}",
        f"{seconds_to_first_chunk(watched.lines):.1f}",
        f"{cost.duration_s / watched.wall_s:.1f}",
        f"{watched.wall_s / cost.hours:.1f}",
        f"{watched.cpu_s / cost.hours:.1f}",
        f"{chunks_core_s(log) / cost.hours:.1f}",
        f"{watched.cores_busy:.2f}",
        f"{watched.peak_pss_bytes / 1e6:.0f}",
        f"{100 * cost.word_error_rate:.2f}",
    )
    return "| " + " | ".join(cells) + " |"


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
    for heard in recordings:
        cost = run_command(heard, model, arguments.options, arguments.folder)
        print(table_line(cost), flush=True)


if __name__ == "__main__":
    main()
