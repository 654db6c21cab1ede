"""One event in the life of a run, what it costs, and the bench on which it is provoked."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from benchmarks.database import Database
from benchmarks.sandbox import Run, Said, Sandbox, Server, same_segments

# openai-whisper's own loop with wide beams: a chunk takes seconds, in which something can happen
# to it, not tenths.
DECODING: Final[Mapping[str, str | int]] = {"decoding": "sequential", "beam_size": 10}
OPTIONS = (
    *("--chunk-minutes", "0.5", "-f", "json,txt"),
    *(word for name, value in DECODING.items() for word in (f"--{name}", str(value))),
)
FINISHED_BEFORE = 2
_WELL_BEGUN_S = 0.7
WITHIN_S = 600.0
_RECORDING = Path("demo/synthetic.opus")
_MOST_STARTS = 4


class Outcome(NamedTuple):
    """What an event did.

    Attributes:
        ends: exit codes of the commands, or final states of a deployment's run.
        recovered_s: until the next chunk was finished.
        children_gone_s: until nothing of an ended run was left; 0 where that is not asked.
        finished_lost: finished chunks that were done again.
        chunk_seconds_lost: spent on chunks that were done again.
        identical: whether the transcript is the undisturbed one.
        rows_left: that Prefect believes to be under way.
    """

    ends: list[str]
    recovered_s: float
    children_gone_s: float
    finished_lost: int
    chunk_seconds_lost: float
    identical: bool
    rows_left: int

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost or left."""
        return self.identical and not self.finished_lost and not self.rows_left


class Event(NamedTuple):
    """Something that goes wrong while the command is at work.

    Attributes:
        name: for the table.
        provoke: does it to a run.
        options: of the run.
        mend: what is put right before the command is started again.
        outside: the run uses a Prefect server beside it.
        database: that server's database is PostgreSQL, beside it.
        costs_finished: finished chunks that are lost because they were damaged on purpose.
        environment: of the run, beside the sandbox's.
        missing: what this machine lacks for it, or nothing.
    """

    name: str
    provoke: Callable[["Bench", Run], None]
    options: tuple[str, ...] = ()
    mend: Callable[["Bench"], None] | None = None
    outside: bool = False
    database: bool = False
    costs_finished: int = 0
    environment: Callable[["Bench"], dict[str, str]] | None = None
    missing: Callable[[], str] = lambda: ""

    def measure(self, bench: "Bench") -> Outcome:
        """Provoke it once."""
        with ExitStack() as stack:
            return bench.measure(self, stack)


class Bench:
    """The sandbox, the recording, and what its undisturbed transcript is."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = Sandbox(folder, OPTIONS)
        self.server = Server(self.sandbox)
        self.database: Database | None = None
        self.path = folder.resolve() / _RECORDING.name
        self.restore_recording()
        self._kept_reference = folder / "undisturbed.json"

    @property
    def output_folder(self) -> Path:
        """Of the recording's transcript."""
        return self.sandbox.outputs / self.path.stem

    def restore_recording(self) -> None:
        """The recording as it was."""
        shutil.copy(_RECORDING, self.path)

    @cached_property
    def reference(self) -> list[dict[str, Any]]:
        """What a run writes that nothing disturbs."""
        if not self._kept_reference.exists():
            # Twice: kernels just compiled round otherwise than the same ones from numba's cache.
            for _ in range(2):
                if self.sandbox.start(self.path, "--fresh").wait(WITHIN_S) != 0:
                    raise RuntimeError("the undisturbed run failed")
            self._kept_reference.write_text(json.dumps(self.sandbox.segments(self.path)))
        rows: list[dict[str, Any]] = json.loads(self._kept_reference.read_text())
        return rows

    def measure(self, event: Event, stack: ExitStack) -> Outcome:
        """Provoke one event; `stack` ends what was started for it."""
        reference = self.reference
        self.sandbox.forget_results()
        server = self.server
        if event.database:
            self.database = stack.enter_context(Database())
            server = Server(self.sandbox, self.database.url)
            stack.callback(server.kill)
        run = self.sandbox.start(
            self.path,
            *event.options,
            server_url=server.url if event.outside else "",
            environment=event.environment(self) if event.environment else None,
        )
        runs = [run]
        until_under_way(run, lambda: not run.is_alive)
        children = run.processes()
        at_s = time.monotonic()
        under_way, before = run.under_way(at_s), set(run.finished())
        event.provoke(self, run)
        gone_s = 0.0
        until(lambda: not run.is_alive)
        exits = [run.wait(60.0)]
        if exits[0] < 0:
            _, alive = psutil.wait_procs(children, timeout=30.0)
            gone_s = float("inf") if alive else time.monotonic() - at_s
        while exits[-1] != 0 and len(exits) < _MOST_STARTS:
            if event.mend is not None:
                event.mend(self)
            runs.append(self.sandbox.start(self.path, server_url=server.url))
            exits.append(runs[-1].wait(WITHIN_S))
        cost = cost_of((said for one in runs for said in one.lines), at_s, under_way, before)
        return Outcome(
            [str(code) for code in exits],
            cost.recovered_s,
            gone_s,
            cost.finished_lost - event.costs_finished,
            cost.chunk_seconds_lost,
            same_segments(self.sandbox.segments(self.path), reference),
            self.sandbox.unfinished_rows(server.url),
        )


class Cost(NamedTuple):
    """What the lines of the runs say that an event cost."""

    recovered_s: float
    finished_lost: int
    chunk_seconds_lost: float


def cost_of(
    lines: Iterable[Said], at_s: float, under_way: dict[int, float], before: set[int]
) -> Cost:
    """Read it from the lines of all runs.

    Args:
        lines: of all runs.
        at_s: when the event was, on the monotonic clock.
        under_way: chunks that were under way then, and the seconds spent on each.
        before: chunks that were finished then.
    """
    after = [said for said in lines if said.at_s > at_s]
    again = {number for said in after if (number := _started(said.text)) is not None}
    finishes = [said.at_s for said in after if " Finished chunk " in said.text]
    return Cost(
        (finishes[0] if finishes else time.monotonic()) - at_s,
        len(before & again),
        sum(seconds for number, seconds in under_way.items() if number in again),
    )


def until_under_way(run: Run, ended: Callable[[], bool], every_s: float = 0.05) -> None:
    """Wait until some chunks of a run are finished and another is well begun, or it has ended."""

    def is_well_begun() -> bool:
        return any(spent_s > _WELL_BEGUN_S for spent_s in run.under_way(time.monotonic()).values())

    until(lambda: len(run.finished()) >= FINISHED_BEFORE or ended(), every_s)
    until(lambda: is_well_begun() or ended(), every_s)


def until(holds: Callable[[], bool], every_s: float = 0.05) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it took too long.
    """
    give_up_s = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"nothing happened within {WITHIN_S:.0f} s")
        time.sleep(every_s)


def _started(text: str) -> int | None:
    _, mark, rest = text.partition(" Chunk ")
    words = rest.split()
    return int(words[0]) if mark and len(words) > 3 and words[3] == "started:" else None
