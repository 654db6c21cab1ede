"""What a run did, chunk by chunk and second by second: for tables, plots and people who watch.

The recorder is written to by the thread that collects results and by the one that samples.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from longscribe.audio.chunks import Chunk
from longscribe.monitoring.events import RunStatus, WorkerStatus
from longscribe.monitoring.progress import Progress, Work
from longscribe.monitoring.resources import ResourceSample, Samples
from longscribe.transcript import ChunkTranscript

Outcome = Literal["done", "kept", "failed", "running", "waiting"]

_MOST_BETWEEN_S: Final = 2.0  # from one chunk of a worker to its next, when it has work
_SAME_START_S: Final = 5.0  # one attempt, seen twice


class Attempt(NamedTuple):
    """A worker's time at a chunk, in seconds since the chunks were begun.

    One that is not `finished` was lost with its worker, or is still under way.
    """

    chunk_index: int
    pid: int
    start_s: float
    end_s: float
    finished: bool


class ChunkRow(NamedTuple):
    """A chunk and what became of it; figures are those of its worker, 0 where there is none.

    Attributes:
        position: of the chunk, from 0.
        number: of how many, such as `3 of 7`.
        span: where it lies in the recording.
        start_s, end_s: the same in seconds.
        outcome: so far.
        reason: why it failed.
        attempts: how often it was begun in this run; of a kept one, in the run that did it.
    """

    position: int
    number: str
    span: str
    start_s: float
    end_s: float
    outcome: Outcome = "waiting"
    reason: str = ""
    seconds: float = 0.0
    segments: int = 0
    words: int = 0
    language: str = ""
    precision: str = ""
    windows: int = 0
    fallbacks: int = 0
    attempts: int = 0
    cpu_percent: float = 0.0
    peak_memory_bytes: int = 0
    pid: int = 0

    @property
    def x_real_time(self) -> float:
        """Seconds of the recording over seconds of work; 0 for one that was not done."""
        return (self.end_s - self.start_s) / self.seconds if self.seconds > 0 else 0.0


class RunRecord(BaseModel):
    """A run's chunks, attempts and samples; times of samples count from when chunks were begun."""

    model_config = ConfigDict(frozen=True)

    chunks: tuple[ChunkRow, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    samples: tuple[ResourceSample, ...] = ()
    workers: int = 0
    cores: int = 0
    seconds: float = 0.0

    @property
    def cores_busy(self) -> float:
        """Cores that were busy on average while chunks ran."""
        if not self.samples:
            return 0.0
        return sum(sample.cpu_percent for sample in self.samples) / len(self.samples) / 100.0

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that all processes held together."""
        return max((sample.memory_bytes for sample in self.samples), default=0)


class AtWork(NamedTuple):
    """A worker at a chunk, since a moment of the machine's monotonic clock."""

    pid: int
    chunk_index: int
    since_s: float


class RunRecorder:
    """Collects the record of a run while its chunks are at work.

    Args:
        chunks: all of the recording.
        workers: that share them.
        cores: of the machine that they may use.
        began_s: on the machine's monotonic clock.
        ending_s: what the run takes after its last chunk, for the time left.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        workers: int,
        cores: int,
        began_s: float,
        ending_s: float = 0.0,
    ) -> None:
        self._chunks = {chunk.index: chunk for chunk in chunks}
        self._rows = {chunk.index: _row(chunk) for chunk in chunks}
        self._workers, self._cores, self._began_s = workers, cores, began_s
        self._ending_s = ending_s
        self._longest_load_s = 0.0
        self._progress = Progress({}, workers, ending_s)
        self._attempts: dict[tuple[int, int], list[Attempt]] = {}
        self._at_work: tuple[AtWork, ...] = ()
        self._last_result_s: dict[int, float] = {}
        self._pace: dict[int, float] = {}
        self._samples = Samples()
        self._last_sample: ResourceSample | None = None
        self._lock = threading.RLock()

    def kept(self, chunk: Chunk, transcript: ChunkTranscript) -> None:
        """A chunk was there from an earlier run; to be told before `begin`."""
        with self._lock:
            self._rows[chunk.index] = _filled(chunk, transcript, "kept")

    def begin(self) -> None:
        """All that is not kept will now be done."""
        with self._lock:
            waiting = [row.position for row in self._rows.values() if row.outcome == "waiting"]
            work = {index: _work(self._chunks[index]) for index in waiting}
            self._progress = Progress(work, self._workers, self._ending_s)

    def seen(self, at_work: Iterable[AtWork], sample: ResourceSample | None, now_s: float) -> None:
        """Which workers are at which chunks now, and what that takes."""
        with self._lock:
            self._at_work = tuple(one for one in at_work if one.chunk_index in self._rows)
            for one in self._at_work:
                self._attempt(one.pid, one.chunk_index, one.since_s, now_s, finished=False)
            if sample is not None:
                self._last_sample = sample
                self._samples.add(sample._replace(at_s=sample.at_s - self._began_s))

    def finished(self, chunk: Chunk, transcript: ChunkTranscript, now_s: float) -> None:
        """A chunk came through."""
        work_s = transcript.seconds - transcript.load_s
        with self._lock:
            before_s = self._last_result_s.get(transcript.pid)
            between_s = 0.0 if before_s is None else now_s - before_s - transcript.seconds
            self._progress.finish(chunk.index, work_s + min(max(between_s, 0.0), _MOST_BETWEEN_S))
            self._longest_load_s = max(self._longest_load_s, transcript.load_s)
            self._last_result_s[transcript.pid] = now_s
            start_s = transcript.ready_at_s - transcript.load_s
            if transcript.ready_at_s > self._began_s:
                end_s = start_s + transcript.seconds
                self._attempt(transcript.pid, chunk.index, start_s, end_s, finished=True)
            row = _filled(chunk, transcript, "done")
            tries = max(transcript.attempts, self._tries(chunk.index))
            self._rows[chunk.index] = row = row._replace(attempts=tries)
            self._pace[transcript.pid] = row.x_real_time

    def failed(self, chunk: Chunk, reason: str) -> None:
        """A chunk was given up."""
        with self._lock:
            self._progress.finish(chunk.index, 0.0)
            self._rows[chunk.index] = self._rows[chunk.index]._replace(
                outcome="failed", reason=reason, attempts=self._tries(chunk.index)
            )

    @property
    def percent(self) -> float:
        """Finished audio in per cent of what this run does."""
        return self._progress.percent

    def status(self, now_s: float) -> RunStatus:
        """How far the run is."""
        with self._lock:
            running_s = self._running_s(now_s)
            done = [row for row in self._rows.values() if row.outcome == "done"]
            elapsed_s = now_s - self._began_s
            kept_s = sum(r.end_s - r.start_s for r in self._rows.values() if r.outcome == "kept")
            all_s = max(1e-6, sum(row.end_s - row.start_s for row in self._rows.values()))
            percent = self._progress.expected_percent(running_s)
            done_s = sum(row.end_s - row.start_s for row in done)
            sample = self._last_sample
            return RunStatus(
                percent=100.0 * kept_s / all_s + percent * (1.0 - kept_s / all_s),
                done=sum(row.outcome in ("done", "kept", "failed") for row in self._rows.values()),
                total=len(self._rows),
                elapsed_s=elapsed_s,
                left_s=self._progress.remaining_s(running_s),
                x_real_time=done_s / elapsed_s if done and elapsed_s > 0 else None,
                cpu_percent=sample.cpu_percent if sample else 0.0,
                memory_bytes=sample.memory_bytes if sample else 0,
                workers=self._worker_statuses(running_s),
            )

    def rows(self) -> tuple[ChunkRow, ...]:
        """The chunks as they are now, in order."""
        with self._lock:
            at = {one.chunk_index: one.pid for one in self._at_work}
            return tuple(
                row._replace(
                    outcome="running", pid=at[row.position], attempts=self._tries(row.position)
                )
                if row.outcome == "waiting" and row.position in at
                else row
                for row in self._rows.values()
            )

    def record(self, now_s: float) -> RunRecord:
        """All of it."""
        with self._lock:
            attempts = [one for tries in self._attempts.values() for one in tries]
            return RunRecord(
                chunks=self.rows(),
                attempts=tuple(sorted(attempts, key=lambda one: (one.start_s, one.pid))),
                samples=self._samples.all(),
                workers=self._workers,
                cores=self._cores,
                seconds=now_s - self._began_s,
            )

    def _running_s(self, now_s: float) -> dict[int, float]:
        """How long workers have been at their chunks; loading before the first does not count."""
        running_s = {}
        for one in self._at_work:
            if self._rows[one.chunk_index].outcome == "waiting":
                load_s = 0.0 if one.pid in self._last_result_s else self._longest_load_s
                running_s[one.chunk_index] = max(0.0, now_s - one.since_s - load_s)
        return running_s

    def _worker_statuses(self, running_s: dict[int, float]) -> tuple[WorkerStatus, ...]:
        at = {one.pid: one.chunk_index for one in self._at_work if one.chunk_index in running_s}
        looks = {one.pid: one for one in self._last_sample.workers} if self._last_sample else {}
        statuses = []
        for pid in sorted(looks.keys() | at.keys()):
            status = WorkerStatus(pid, x_real_time=self._pace.get(pid))
            if pid in at:
                chunk = self._chunks[at[pid]]
                status = status._replace(
                    chunk=chunk.number,
                    span=chunk.span,
                    running_s=running_s[chunk.index],
                    fraction=self._progress.fraction(chunk.index, running_s[chunk.index]),
                )
            if pid in looks:
                status = status._replace(
                    cpu_percent=looks[pid].cpu_percent, rss_bytes=looks[pid].rss_bytes
                )
            statuses.append(status)
        return tuple(statuses)

    def _tries(self, index: int) -> int:
        return max(1, sum(len(a) for (i, _), a in self._attempts.items() if i == index))

    def _attempt(
        self, pid: int, index: int, since_s: float, until_s: float, finished: bool
    ) -> None:
        start_s, end_s = since_s - self._began_s, until_s - self._began_s
        tries = self._attempts.setdefault((index, pid), [])
        this = Attempt(index, pid, start_s, end_s, finished)
        if tries and (finished or abs(tries[-1].start_s - start_s) < _SAME_START_S):
            if not tries[-1].finished:
                tries[-1] = this
        else:
            tries.append(this)


def _work(chunk: Chunk) -> Work:
    return Work(chunk.duration_s, sum(end_s - start_s for start_s, end_s in chunk.sound))


def _row(chunk: Chunk) -> ChunkRow:
    return ChunkRow(
        chunk.index, chunk.number, chunk.span, chunk.original_start_s, chunk.original_end_s
    )


def _filled(chunk: Chunk, transcript: ChunkTranscript, outcome: Outcome) -> ChunkRow:
    return _row(chunk)._replace(
        outcome=outcome,
        seconds=transcript.seconds - transcript.load_s,
        segments=len(transcript.segments),
        words=sum(len(segment.text.split()) for segment in transcript.segments),
        language=transcript.language,
        precision=transcript.precision,
        windows=transcript.windows,
        fallbacks=transcript.fallbacks,
        attempts=transcript.attempts,
        cpu_percent=transcript.cpu_percent,
        peak_memory_bytes=transcript.peak_memory_bytes,
        pid=transcript.pid,
    )
