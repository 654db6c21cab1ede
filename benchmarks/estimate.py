"""How true the time left is that a run tells: three recordings of different length and density.

`python -m benchmarks.estimate` transcribes the synthetic sample again and again (an hour, even), a
rough hour (half of it silence, noise and tones in between) and three dense hours, and compares what
the log said after each finished chunk with when the run was over. A run that was measured is kept
in benchmarks/results/estimate.jsonl and not measured again, so a stopped benchmark goes on where it
stopped; `--again` measures all. Some five minutes at `base` on two cores once they are made.

Errors are in per cent of the time that was left; of ten seconds where it was less.
"""

import argparse
import json
import re
import shutil
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.command import command_line, warm_up
from benchmarks.process_tree import watch
from benchmarks.recordings import (
    RESULTS_FOLDER,
    Recording,
    recording,
    repeated,
    repeated_sample,
)
from benchmarks.rough_recording import rough_recording
from benchmarks.surroundings import describe_machine
from benchmarks.widen import WIDENABLE, widened

_HOUR_S: Final = 3600.0
_SEED: Final = 4242
_ROUGH_SEED: Final = 1
_DENSE_S: Final = 1200.0  # generated; then again and again
_WARM_UP_S: Final = 20.0
_SHORTEST_S: Final = 10.0
_MEMORY_EVERY_S: Final = 60.0

_TOLD = re.compile(r"Finished chunk .* \((\d+)/(\d+)\), about (\d+):(\d\d):(\d\d) left")
_DONE = re.compile(r"\bDone in [\d.]+ s\b")


class Told(NamedTuple):
    """What the log said after a finished chunk.

    Attributes:
        done: finished chunks.
        total: all chunks.
        left_s: the estimate.
        truth_s: what it really took from then on.
    """

    done: int
    total: int
    left_s: float
    truth_s: float

    @property
    def error(self) -> float:
        """Too much (above 0) or too little, as a share of the truth."""
        return (self.left_s - self.truth_s) / max(self.truth_s, _SHORTEST_S)


def estimates(lines: Iterable[tuple[float, str]]) -> list[Told]:
    """The estimates of a run, the one after its last chunk left out.

    Args:
        lines: of its output, with the seconds after which each came.

    Raises:
        ValueError: the run did not come to its end.
    """
    told: list[tuple[float, int, int, float]] = []
    for after_s, text in lines:
        if found := _TOLD.search(text):
            done, total, hours, minutes, seconds = map(int, found.groups())
            told.append((after_s, done, total, 3600.0 * hours + 60.0 * minutes + seconds))
        if _DONE.search(text):
            return [
                Told(done, total, left_s, after_s - at_s)
                for at_s, done, total, left_s in told
                if done < total
            ]
    raise ValueError("the log does not say when the run was done")


def table_line(name: str, told: list[Told]) -> str:
    """A recording as a line of the table.

    Raises:
        StopIteration: the run had fewer than three chunks.
    """
    second = next(one for one in told if one.done >= 2)
    later = [one for one in told if one.done > second.done]
    errors = [abs(one.error) for one in later] or [0.0]
    off_s = max((abs(one.left_s - one.truth_s) for one in later), default=0.0)
    cells = (
        name,
        f"{second.total}",
        f"{second.left_s:.0f}",
        f"{second.truth_s:.1f}",
        f"{100 * second.error:+.0f}",
        f"{100 * statistics.median(errors):.0f}",
        f"{100 * max(errors):.0f}",
        f"{off_s:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


_HEADINGS = (
    "recording", "chunks", "said after the second, s", "truth, s", "error %",
    "later: median %", "worst %", "worst, s",
)  # fmt: skip


def _measured(heard: Recording, model: str, folder: Path) -> list[Told]:
    """What a run told.

    Raises:
        SystemExit: the command failed; its log is named.
    """
    log, output = folder / "estimate.log", folder / "estimate"
    watched = watch(command_line(heard.path, model, output), log, _MEMORY_EVERY_S)
    if watched.exit_code not in (0, 3):
        sys.exit(f"longscribe ended with {watched.exit_code}; see {log}")
    shutil.rmtree(output)
    return estimates(watched.lines)


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=["demo", *WIDENABLE], default="base")
    parser.add_argument("--folder", type=Path, default=RESULTS_FOLDER)
    parser.add_argument("--again", action="store_true", help="measure also what was measured")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    model = arguments.model if arguments.model == "demo" else str(widened(arguments.model))
    recordings = {
        "the sample for an hour": repeated_sample(folder / "sample-hour.flac", _HOUR_S),
        "a rough hour": rough_recording(_HOUR_S, _ROUGH_SEED, folder).heard,
        "three dense hours": repeated(recording(_DENSE_S, _SEED, folder=folder), 3 * _HOUR_S),
    }
    kept_path = folder / "estimate.jsonl"
    if arguments.again:
        kept_path.unlink(missing_ok=True)
    kept = _kept(kept_path)
    if any((model, name) not in kept for name in recordings):
        warm_up(recording(_WARM_UP_S, _SEED, folder=folder).path, model, folder)
    print(f"{describe_machine()}\nlongscribe --model {arguments.model}\n")
    print("| " + " | ".join(_HEADINGS) + " |\n|---" + "|---:" * (len(_HEADINGS) - 1) + "|")
    for name, heard in recordings.items():
        if (model, name) not in kept:
            kept[model, name] = _measured(heard, model, folder)
            with kept_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([model, name, kept[model, name]]) + "\n")
        print(table_line(name, kept[model, name]), flush=True)


def _kept(path: Path) -> dict[tuple[str, str], list[Told]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(model, name): [Told(*one) for one in told] for model, name, told in rows}


if __name__ == "__main__":
    main()
