"""`python -m benchmarks.reliability`: provokes each event once and prints what it cost.

A run of the bundled sample, in chunks of half a minute, is disturbed when two of its chunks are
finished and another is under way; where the command ends, it is started again. Rows are kept:
`--only WORD` measures the events that hold the word, and the table has all.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.recordings import RESULTS_FOLDER
from benchmarks.sandbox import Run, Sandbox, Server, same_segments

_OPTIONS = ["--chunk-minutes", "0.5", "-f", "json,txt", "--batch-size", "1"]
_RECORDING = Path("demo/sample.opus")
_FINISHED_BEFORE = 2
_WITHIN_S = 600.0
_OUTAGE_S = 30.0
_HEAD = """\
| event | exit codes | next chunk after s | processes gone after s | finished chunks lost \
| chunk-seconds lost | transcript | rows left |
|---|---|---:|---:|---:|---:|---|---:|"""


class Event(NamedTuple):
    """Something that goes wrong.

    Attributes:
        name: for the table.
        provoke: does it to a run.
        options: of the run.
        mend: what is put right before the command is started again.
        outside: the run uses a Prefect server beside it.
        costs_finished: finished chunks that are lost because they were damaged on purpose.
    """

    name: str
    provoke: Callable[["Bench", Run], None]
    options: tuple[str, ...] = ()
    mend: Callable[["Bench"], None] | None = None
    outside: bool = False
    costs_finished: int = 0


class Outcome(NamedTuple):
    """What an event did."""

    exits: list[int]
    recovered_s: float
    children_gone_s: float
    finished_lost: int
    chunk_seconds_lost: float
    identical: bool
    rows_left: int


class Bench:
    """The sandbox, the recording, and what its undisturbed transcript is."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = Sandbox(folder, _OPTIONS)
        self.server = Server(self.sandbox)
        self.path = folder.resolve() / _RECORDING.name
        self.restore_recording()
        self._kept_reference = folder / "undisturbed.json"

    @property
    def output_folder(self) -> Path:
        """Of the recording's transcript."""
        return self.sandbox.outputs / self.path.stem

    def restore_recording(self) -> None:
        """The recording as it was."""
        if not self.path.exists():
            shutil.copy(_RECORDING, self.path)

    @cached_property
    def reference(self) -> list[dict[str, Any]]:
        """What a run writes that nothing disturbs."""
        if not self._kept_reference.exists():
            # Twice: kernels just compiled round otherwise than the same ones from numba's cache.
            for _ in range(2):
                if self.sandbox.start(self.path, "--fresh").wait(_WITHIN_S) != 0:
                    raise RuntimeError("the undisturbed run failed")
            self._kept_reference.write_text(json.dumps(self.sandbox.segments(self.path)))
        rows: list[dict[str, Any]] = json.loads(self._kept_reference.read_text())
        return rows

    def measure(self, event: Event) -> Outcome:
        """Provoke one event."""
        reference = self.reference
        self.sandbox.forget_results()
        url = self.server.url if event.outside else ""
        run = self.sandbox.start(self.path, *event.options, server_url=url)
        runs = [run]
        _until(lambda: len(run.finished()) >= _FINISHED_BEFORE or not run.is_alive)
        _until(lambda: bool(run.under_way(time.monotonic())) or not run.is_alive)
        children = run.processes()
        at_s = time.monotonic()
        under_way, before = run.under_way(at_s), set(run.finished())
        event.provoke(self, run)
        gone_s = 0.0
        _until(lambda: not run.is_alive)
        exits = [run.wait(60.0)]
        if exits[0] < 0:
            _, alive = psutil.wait_procs(children, timeout=30.0)
            gone_s = float("inf") if alive else time.monotonic() - at_s
        while exits[-1] != 0 and len(exits) < 4:
            if event.mend is not None:
                event.mend(self)
            runs.append(self.sandbox.start(self.path, server_url=self.server.url))
            exits.append(runs[-1].wait(_WITHIN_S))
        after = [said for one in runs for said in one.lines if said.at_s > at_s]
        again = {
            number
            for one in runs
            for said in one.lines
            if said.at_s > at_s and (number := _started(said.text)) is not None
        }
        finishes = [said.at_s for said in after if " Finished chunk " in said.text]
        return Outcome(
            exits,
            (finishes[0] if finishes else time.monotonic()) - at_s,
            gone_s,
            len(before & again) - event.costs_finished,
            sum(seconds for number, seconds in under_way.items() if number in again),
            same_segments(self.sandbox.segments(self.path), reference),
            self.sandbox.unfinished_rows(self.server.url),
        )


def _until(holds: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + _WITHIN_S
    while not holds():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"nothing happened within {_WITHIN_S:.0f} s")
        time.sleep(0.05)


def _started(text: str) -> int | None:
    _, mark, rest = text.partition(" Chunk ")
    words = rest.split()
    return int(words[0]) if mark and len(words) > 3 and words[3] == "started:" else None


def _send(how: signal.Signals) -> Callable[[Bench, Run], None]:
    return lambda _, run: run.process.send_signal(how)


def _send_to_worker(how: signal.Signals) -> Callable[[Bench, Run], None]:
    def provoke(_: Bench, run: Run) -> None:
        with suppress(psutil.NoSuchProcess):
            run.workers()[-1].send_signal(how)

    return provoke


def _poison(_: Bench, run: Run) -> None:
    """Whenever a worker has the chunk that is now under way, it is killed."""
    poisoned = next(iter(run.under_way(time.monotonic())))
    while run.is_alive:
        if poisoned in run.under_way(time.monotonic()):
            with suppress(psutil.NoSuchProcess):
                for worker in run.workers():
                    worker.kill()
        time.sleep(0.05)


def _kill_embedded(_: Bench, run: Run) -> None:
    for server in run.servers():
        server.kill()


def _outage(bench: Bench, _: Run) -> None:
    bench.server.kill()
    time.sleep(_OUTAGE_S)
    bench.server.start()


def _terminate_alone(bench: Bench, run: Run) -> None:
    bench.server.kill()
    time.sleep(5.0)
    run.process.terminate()
    _until(lambda: not run.is_alive)
    bench.server.start()


def _fill(bench: Bench, run: Run) -> None:
    """The folder of the results becomes a full file system."""
    folder = bench.sandbox.folder / "cache" / "results"
    options = ["mount", "-t", "tmpfs", "-o", "size=65536", "tmpfs", str(folder)]
    subprocess.run(options, check=True)
    with suppress(OSError), (folder / "filler").open("wb") as file:
        file.write(bytes(1 << 20))
    _until(lambda: not run.is_alive)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _block_outputs(bench: Bench, _: Run) -> None:
    shutil.rmtree(bench.output_folder, ignore_errors=True)
    bench.output_folder.write_text("a file where the folder should be")


def _unblock_outputs(bench: Bench) -> None:
    bench.output_folder.unlink(missing_ok=True)


def _delete_recording(bench: Bench, _: Run) -> None:
    bench.path.unlink()


def _truncate_a_result(bench: Bench, run: Run) -> None:
    run.process.kill()
    path = bench.sandbox.results()[0]
    os.truncate(path, path.stat().st_size // 2)


def _second_run(bench: Bench, run: Run) -> None:
    other = bench.sandbox.start(bench.path, server_url=bench.server.url)
    if other.wait(_WITHIN_S) != 0:
        raise RuntimeError("the second run failed")


EVENTS = [
    Event("a worker is killed (SIGKILL)", _send_to_worker(signal.SIGKILL)),
    Event("a worker crashes in native code (SIGSEGV)", _send_to_worker(signal.SIGSEGV)),
    Event(
        "a worker hangs (SIGSTOP; deadline 12 s)",
        _send_to_worker(signal.SIGSTOP),
        ("--chunk-timeout-minutes", "0.2"),
    ),
    Event("a chunk kills its worker each time", _poison),
    Event("the command is killed (SIGKILL)", _send(signal.SIGKILL)),
    Event("the command is terminated (SIGTERM)", _send(signal.SIGTERM)),
    Event("Ctrl-C (SIGINT)", _send(signal.SIGINT)),
    Event(
        "the command is killed and a kept result truncated", _truncate_a_result, (), None, False, 1
    ),
    Event("the embedded Prefect server is killed", _kill_embedded),
    Event(f"the Prefect server is away for {_OUTAGE_S:.0f} s", _outage, (), None, True),
    Event("the command is terminated while the server is away", _terminate_alone, (), None, True),
    Event("the disk of the results is full", _fill),
    Event("the output folder cannot be written at the end", _block_outputs, (), _unblock_outputs),
    Event("the recording is deleted", _delete_recording, (), Bench.restore_recording),
    Event("a second run of the same recording beside it", _second_run, (), None, True),
]


def main() -> None:
    """Provoke all events, or those whose name holds a word, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of an event's name")
    arguments = parser.parse_args()
    bench = Bench(RESULTS_FOLDER / "reliability")
    kept = RESULTS_FOLDER / "reliability" / "rows.json"
    rows: dict[str, str] = {}
    with suppress(OSError):
        rows = json.loads(kept.read_text())
    good = True
    try:
        for event in EVENTS:
            if arguments.only in event.name:
                outcome = bench.measure(event)
                bench.restore_recording()
                rows[event.name] = _row(event, outcome)
                kept.write_text(json.dumps(rows, indent=1))
                good &= outcome.identical and not outcome.finished_lost and not outcome.rows_left
    finally:
        bench.server.kill()
        for process in bench.sandbox.strays():
            process.kill()
    print(_HEAD)
    for event in EVENTS:
        print(rows.get(event.name, f"| {event.name} | not measured | | | | | | |"))
    sys.exit(0 if good else 1)


def _row(event: Event, outcome: Outcome) -> str:
    cells = [
        event.name,
        ", ".join(map(str, outcome.exits)),
        f"{outcome.recovered_s:.1f}",
        f"{outcome.children_gone_s:.1f}" if outcome.children_gone_s else "",
        str(outcome.finished_lost),
        f"{outcome.chunk_seconds_lost:.1f}",
        "identical" if outcome.identical else "DIFFERS",
        str(outcome.rows_left),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
