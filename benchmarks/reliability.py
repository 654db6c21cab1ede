"""`python -m benchmarks.reliability`: provokes each event once and prints what it cost.

A run of the synthetic sample, in chunks of half a minute, is disturbed when two of its chunks are
finished and another is under way; where it ends, it is started again. Rows are kept: it goes on
where it stopped, `--only WORD` measures the events that hold the word, and the table has all.
"""

import argparse
import json
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks import reliability_events, service_events
from benchmarks.disturbance import Bench, Event, Outcome
from benchmarks.recordings import RESULTS_FOLDER
from benchmarks.service_events import ServiceEvent

_FOLDER = RESULTS_FOLDER / "reliability"
_HEAD = """\
| event | ends | next chunk after s | processes gone after s | finished chunks lost \
| chunk-seconds lost | transcript | rows left |
|---|---|---:|---:|---:|---:|---|---:|"""


class Rows:
    """The table so far, in a file; rows whose event lost nothing are not measured again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, dict[str, str | bool]] = {}
        with suppress(OSError, json.JSONDecodeError):
            self._rows = json.loads(path.read_text())

    def has(self, name: str) -> bool:
        """Whether the event is done."""
        return bool(self._rows.get(name, {}).get("good"))

    def put(self, name: str, row: str, good: bool) -> None:
        """Keep a row."""
        self._rows[name] = {"row": row, "good": good}
        self._path.write_text(json.dumps(self._rows, indent=1))

    def shown(self, name: str) -> str:
        """A row of the table."""
        return str(self._rows.get(name, {}).get("row") or _line([name, "not measured"]))

    def forget(self) -> None:
        """Begin again."""
        self._rows.clear()


def main() -> None:
    """Provoke all events, or those whose name holds a word, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of an event's name")
    parser.add_argument("--fresh", action="store_true", help="measure again what is there already")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `finally`
    events: list[Event | ServiceEvent] = [*reliability_events.EVENTS, *service_events.EVENTS]
    chosen = [event for event in events if arguments.only in event.name]
    again = bool(arguments.only) or arguments.fresh
    bench = Bench(_FOLDER)
    rows = Rows(_FOLDER / "rows.json")
    if arguments.fresh and not arguments.only:
        rows.forget()
    try:
        for event in chosen:
            if again or not rows.has(event.name):
                _provoke(bench, event, rows)
    finally:
        bench.server.kill()
        _end_strays(bench)
    print(_HEAD)
    for event in events:
        print(rows.shown(event.name))
    sys.exit(0 if all(rows.has(event.name) for event in chosen) else 1)


def _provoke(bench: Bench, event: Event | ServiceEvent, rows: Rows) -> None:
    """One event; what goes wrong with it does not keep the others from being measured."""
    began_s = time.monotonic()
    if missing := event.missing():
        rows.put(event.name, _line([event.name, f"skipped: {missing}"]), good=True)
    else:
        try:
            outcome = event.measure(bench)
        except Exception as error:
            traceback.print_exc()
            rows.put(event.name, _line([event.name, f"{type(error).__name__}"]), good=False)
            bench.server.kill()
            bench.server.start()
        else:
            rows.put(event.name, _row(event.name, outcome), outcome.is_good)
        _end_strays(bench)
        bench.restore_recording()
    print(f"{time.monotonic() - began_s:.0f} s {rows.shown(event.name)}", flush=True)


def _end_strays(bench: Bench) -> None:
    for process in bench.sandbox.strays():
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _row(name: str, outcome: Outcome) -> str:
    return _line(
        [
            name,
            ", ".join(outcome.ends),
            f"{outcome.recovered_s:.1f}",
            f"{outcome.children_gone_s:.1f}" if outcome.children_gone_s else "",
            str(outcome.finished_lost),
            f"{outcome.chunk_seconds_lost:.1f}",
            "identical" if outcome.identical else "DIFFERS",
            str(outcome.rows_left),
        ]
    )


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells + [''] * (8 - len(cells)))} |"


if __name__ == "__main__":
    main()
