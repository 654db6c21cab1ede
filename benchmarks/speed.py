"""Compares Longscribe's speed, accuracy and memory with those of other programs, on equal weights.

`python -m benchmarks.speed` makes a recording with the demo's generator, widens the demo checkpoint
to the official sizes, converts it for every program, and lets all transcribe in turn, each in a
fresh process and with all cores: round 1 A B C, round 2 A B C. Every result is written at once to
benchmarks/results/speed.jsonl, and a second call goes on where the first was stopped; delete the
file to start over. At the end, and with --report alone, it writes speed.md and speed.png beside it.

The slow ones get the first --slow-minutes of the same recording; the table says how much.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants import DEFAULT_NAMES, contestant_named
from benchmarks.convert import converted
from benchmarks.process_tree import cores, watch
from benchmarks.recordings import RESULTS_FOLDER, recording
from benchmarks.sizes import SIZES
from benchmarks.speed_results import (
    Result,
    Trial,
    append_result,
    draw,
    markdown_table,
    read_results,
    rows_of,
    still_to_run,
)
from benchmarks.surroundings import describe_machine, describe_versions
from benchmarks.widen import WIDENABLE, widened

# What benchmarks.contestant times of each program.
_SECONDS_EXPLAINED = """\
`seconds` and `x real time` leave starting and loading out:

- Longscribe: what its last line says ("Done in ... s"), from the flow's start until the files are
  written, less the seconds it says that it waited for its workers (processes started, torch
  imported there, the model mapped). Decoding the file, speeding it up and cutting it count.
- openai-whisper: `model.transcribe(path)`, after `whisper.load_model`.
- faster-whisper: `transcribe(path)` and taking the last segment of it, after `WhisperModel(...)`.
- whisper.cpp: `Model.transcribe(path)`, after `Model(path)`; decoding the file by FFmpeg counts.

Imports of libraries are left out for all. `x with loading` goes by the wall time of the whole
process, from its start to its end: of the `longscribe` command, or of a Python script that imports
the library, loads the model and transcribes. Its loading is counted once for a recording of the
table's longest minutes, so that a program that was given less does not seem to load longer.
"""


def plan(
    names: Sequence[str],
    sizes: Sequence[str],
    rounds: int,
    minutes: float,
    slow_minutes: float,
    seed: int,
) -> list[Trial]:
    """Every trial, in an order that spreads a machine's moods over all contestants."""
    return [
        Trial(name, size, number, _minutes(name, minutes, slow_minutes), seed)
        for size in sizes
        for number in range(1, rounds + 1)
        for name in names
    ]


def _minutes(name: str, minutes: float, slow_minutes: float) -> float:
    return min(minutes, slow_minutes) if contestant_named(name).slow else minutes


def run_trial(trial: Trial, folder: Path) -> Result:
    """Run one contestant in a process of its own.

    Raises:
        subprocess.CalledProcessError: it failed; its output is in the folder's speed.log.
    """
    contestant = contestant_named(trial.contestant)
    heard = recording(trial.minutes * 60, trial.seed, folder=folder)
    model = converted(trial.size, contestant.form) if contestant.form else widened(trial.size)
    out, log = folder / "speed-run.json", folder / "speed.log"
    command = [sys.executable, "-m", "benchmarks.contestant", trial.contestant]
    command += ["--audio", str(heard.path), "--model", str(model)]
    command += ["--threads", str(cores()), "--out", str(out)]
    watched = watch(command, log)
    if watched.exit_code != 0:
        raise subprocess.CalledProcessError(watched.exit_code, command, log.read_text())
    outcome = json.loads(out.read_text(encoding="utf-8"))
    return Result(
        trial,
        round(watched.wall_s, 3),
        round(outcome["load_s"], 3),
        round(outcome["transcribe_s"], 3),
        round(heard.word_error_rate(outcome["text"]), 5),
        len(outcome["segments"]),
        watched.peak_pss_bytes,
        round(watched.cpu_s, 2),
        outcome["about"],
    )


def run_all(trials: Sequence[Trial], results_path: Path) -> None:
    """Run trials one after the other and keep each result; one that fails is told and left out."""
    failed: set[str] = set()
    for number, trial in enumerate(trials, start=1):
        shown = f"{number}/{len(trials)} {trial.size}, round {trial.round}: {trial.contestant}"
        if trial.contestant in failed:
            continue
        started_s = time.monotonic()
        try:
            result = run_trial(trial, results_path.parent)
        except subprocess.CalledProcessError as error:
            failed.add(trial.contestant)
            print(f"{shown}: failed\n{str(error.output)[-2000:]}", file=sys.stderr, flush=True)
            continue
        append_result(results_path, result)
        print(
            f"{shown}: {trial.minutes * 60 / result.transcribe_s:.1f} x real time, "
            f"WER {100 * result.word_error_rate:.2f} %, {time.monotonic() - started_s:.0f} s",
            flush=True,
        )


def write_report(results: Sequence[Result], folder: Path) -> None:
    """Write speed.md and speed.png from all results."""
    sizes = [size for size in SIZES if any(result.trial.size == size for result in results)]
    rows_by_size = {size: rows_of(results, size) for size in sizes}
    text = [f"# Speed on equal weights\n\n{describe_machine()}\n\n{describe_versions()}\n"]
    text += [
        "\nMedians of the rounds. `Longscribe / this`: how many times as fast Longscribe is. WER "
        "is against the generator's reference. Memory is the peak over all processes, with shared "
        "pages counted once.\n"
    ]
    text += [f"\n## {size}\n\n{markdown_table(rows)}" for size, rows in rows_by_size.items()]
    text.append(f"\n{_SECONDS_EXPLAINED}")
    text += [f"\n{about}\n" for about in sorted({result.about for result in results} - {""})]
    (folder / "speed.md").write_text("".join(text), encoding="utf-8")
    draw(rows_by_size, describe_machine(), folder / "speed.png")


def main() -> None:
    """Run what is missing and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", nargs="+", default=["tiny", "base", "small"], choices=WIDENABLE, metavar="SIZE"
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--slow-minutes", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER / "speed.jsonl")
    parser.add_argument("--report", action="store_true", help="run nothing, write the report")
    parser.add_argument(
        "--contestants",
        nargs="+",
        default=DEFAULT_NAMES,
        metavar="NAME",
        help=f"of: {'; '.join(DEFAULT_NAMES)}; or longscribe with any of its options, in quotes",
    )
    arguments = parser.parse_args()
    results_path: Path = arguments.results
    results_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        planned = plan(
            arguments.contestants,
            arguments.sizes,
            arguments.rounds,
            arguments.minutes,
            arguments.slow_minutes,
            arguments.seed,
        )
    except ValueError as error:
        parser.error(str(error))
    if not arguments.report:
        run_all(still_to_run(planned, read_results(results_path)), results_path)
    results = read_results(results_path)
    if results:
        write_report(results, results_path.parent)
        print((results_path.parent / "speed.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
