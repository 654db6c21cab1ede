"""What a run tells those who watch it: small facts, sent as they happen.

They travel on a logger of their own, as `record.live`: whoever shows a run (the terminal's view)
handles that logger, and where nobody does they cost nothing.
"""

import logging
from typing import Final, NamedTuple

LIVE_LOGGER: Final = "longscribe.live"
LEFT_S: Final = "left_s"  # the time left, for programs, in the metadata of the progress artifact


class RunBegan(NamedTuple):
    """A run of a recording began."""

    name: str


class StageBegan(NamedTuple):
    """A stage of the run began."""

    stage: str


class StageOver(NamedTuple):
    """A stage of the run is over, well or not."""

    stage: str


class WorkerStatus(NamedTuple):
    """A worker, and the chunk it is at.

    Attributes:
        pid: of the process.
        chunk: its number of how many, such as `3 of 7`; empty for an idle worker.
        span: where the chunk lies in the recording.
        running_s: how long the worker has been at it.
        fraction: of the chunk that is done by estimate, 0 to 1; None before anything is known.
        x_real_time: of the last chunk that the worker finished; None before the first.
        cpu_percent: of one core.
        rss_bytes: of the process.
    """

    pid: int
    chunk: str = ""
    span: str = ""
    running_s: float = 0.0
    fraction: float | None = None
    x_real_time: float | None = None
    cpu_percent: float = 0.0
    rss_bytes: int = 0


class RunStatus(NamedTuple):
    """How far the chunks are.

    Attributes:
        percent: of the audio, chunks under way counted by estimate.
        done: finished chunks, those kept from earlier runs among them.
        total: all chunks.
        elapsed_s: since the chunks were begun.
        left_s: until the run is over; None before the first chunk was done.
        x_real_time: of this run's finished chunks; None before the first.
        cpu_percent: of all processes, 100 for one core.
        memory_bytes: of all processes.
        workers: one status each.
    """

    percent: float
    done: int
    total: int
    elapsed_s: float
    left_s: float | None
    x_real_time: float | None
    cpu_percent: float
    memory_bytes: int
    workers: tuple[WorkerStatus, ...]


class RunOver(NamedTuple):
    """The run is over, well or not."""


Live = RunBegan | StageBegan | StageOver | RunStatus | RunOver


def tell(what: Live) -> None:
    """Send a fact to whoever watches."""
    logging.getLogger(LIVE_LOGGER).debug("", extra={"live": what})
