"""Chunks on a pool whose workers may die or hang: only what was lost runs again.

`concurrent.futures` gives up a whole pool with any of its processes, and a task's retries die with
the worker they run in. So the pool is watched from outside, and made anew.
"""

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from prefect.futures import PrefectConcurrentFuture
from prefect.logging import get_run_logger
from prefect.task_runners import ProcessPoolTaskRunner

from longscribe.audio.chunks import Chunk
from longscribe.errors import InputError
from longscribe.monitoring.deadlines import Deadlines
from longscribe.monitoring.run_record import AtWork
from longscribe.runtime.machine import out_of_memory_kills, this_machine
from longscribe.tasks.heartbeats import forget_workers, workers_at_work
from longscribe.tasks.observations import Observations
from longscribe.tasks.orphaned_runs import LostTaskRuns
from longscribe.tasks.pool import FORK_SERVER_DIED, Workers
from longscribe.tasks.stopping import server_answers
from longscribe.tasks.worker_ends import ends_shown
from longscribe.transcript import ChunkTranscript, format_time
from longscribe.wording.catalog import translated

_DEATHS_OF_A_CHUNK: Final = 3  # of its own worker; then it is given up
_REFUSALS_OF_A_CHUNK: Final = 3  # by pools; then it is given up
_LOSSES_IN_A_ROW: Final = 10  # of pools, with nothing finished in between; then everything is
_LOOK_EVERY_S: Final = 1.0
_SILENT_S: Final = (
    900.0  # no worker at any chunk; loading a large model from a slow disk takes less
)
_SILENT_WITH_MODEL_S: Final = 120.0  # the same once a worker of the pool has begun a chunk
_STOPPED_S: Final = 5.0  # a worker without a chunk, which may keep the others from taking one
_LONGEST_REASON: Final = 200  # characters; it stands in the transcript
_LITTLE_MEMORY: Final = 0.25  # of what a worker needs
_MARK_WITHIN_S: Final = 3.0
_MARK_ALL_WITHIN_S: Final = 10.0

Submit = Callable[[ProcessPoolTaskRunner, Chunk, int], PrefectConcurrentFuture[Any]]
FindResult = Callable[[Chunk], ChunkTranscript | None]


class Done(NamedTuple):
    """A chunk that came through, or was given up for a reason."""

    chunk: Chunk
    transcript: ChunkTranscript | None
    reason: str = ""


class _NotHandedOver(BrokenExecutor):
    """A chunk did not reach a worker, or what became of it could not be read when it came back.

    It runs again alone, like one whose worker died: it may be the chunk after all. Prefect hands
    chunks to the pool on threads, which may find it gone (prefect 3.8, an AttributeError) or
    breaking: until Python 3.12 an executor closes its queue's pipe while `submit` starts a worker
    with it, an OSError that can take the fork server along
    (https://github.com/python/cpython/issues/109047).
    """

    def __init__(self, chunk: Chunk, reason: str) -> None:
        super().__init__(reason)
        self.chunk = chunk


class Supervisor:
    """Runs chunks and watches over the workers that they run in.

    A chunk whose worker died is a suspect: it runs again when all others are done, and alone. One
    that was only lost with the pool runs again with the others.

    Args:
        workers: of the run.
        folder: where the workers say what they are at.
        chunks: to be transcribed, the first first.
        submit: gives a chunk and a batch size to a pool.
        find_result: the result that a lost chunk may have left behind all the same.
        deadlines: how long a chunk may take.
    """

    def __init__(
        self,
        workers: Workers,
        folder: Path,
        chunks: Sequence[Chunk],
        submit: Submit,
        find_result: FindResult,
        deadlines: Deadlines,
    ) -> None:
        self._workers = workers
        self._folder = folder
        self._chunks = {chunk.index: chunk for chunk in chunks}
        self._waiting = deque(chunks)
        self._suspects: deque[Chunk] = deque()
        self._under_way: dict[PrefectConcurrentFuture[Any], Chunk] = {}
        self._finished: SimpleQueue[Any] = SimpleQueue()  # of those under way, and lost
        self._submit = submit
        self._find_result = find_result
        self._deadlines = deadlines
        self._lost = LostTaskRuns()
        self._deaths: Counter[int] = Counter()
        self._refusals: Counter[int] = Counter()
        self._overdue: set[int] = set()
        self._losses_in_a_row = 0
        self._observations = Observations()
        self._silent_since_s = 0.0
        self._has_begun = False  # any chunk, in this pool: its workers have their model
        self._ended_idle: set[int] = set()
        self._available_bytes = this_machine().available_bytes
        self._memory_kills = out_of_memory_kills()
        self._logger = get_run_logger()

    def done(self) -> Generator[Done]:
        """The chunks as they come through or are given up.

        Raises:
            InputError: a worker found that the model cannot be used.
        """
        try:
            while self._waiting or self._suspects or self._under_way:
                try:
                    self._start()
                    yield from self._take()
                    self._watch()
                except (BrokenExecutor, CancelledError) as loss:
                    yield from self._replace_pool(loss)
        except BaseException:
            # Stopped, or the model cannot be used: nothing that is under way will be wanted.
            at_work = self._at_work()
            self._workers.stop(at_once=True)
            self._note_lost(translated("The run was stopped."), at_work)
            if server_answers():
                self._lost.mark(_MARK_WITHIN_S)
            raise
        self._lost.mark(_MARK_ALL_WITHIN_S, until_all=True)

    def _start(self) -> None:
        """Keep the workers busy, with one chunk more than workers waiting in the pool."""
        if not self._waiting and self._suspects and not self._under_way:
            self._give(self._suspects.popleft())
        while self._waiting and len(self._under_way) <= self._workers.sizing.workers:
            self._give(self._waiting.popleft())

    def _give(self, chunk: Chunk) -> None:
        try:
            future = self._submit(self._workers.start(), chunk, self._workers.sizing.batch_size)
        except BaseException:
            self._waiting.appendleft(chunk)
            raise
        self._under_way[future] = chunk
        future.add_done_callback(self._finished.put)

    def _take(self) -> Iterator[Done]:
        """Wait a moment for a chunk; what became of it.

        Raises:
            BrokenExecutor: the pool is lost.
        """
        try:
            future = self._finished.get(timeout=_LOOK_EVERY_S)
        except Empty:
            return
        chunk = self._under_way.get(future)
        if chunk is not None:  # otherwise of a pool that was lost
            done = self._outcome(chunk, future)
            del self._under_way[future]
            yield done

    def _outcome(self, chunk: Chunk, future: PrefectConcurrentFuture[Any]) -> Done:
        error = future.wrapped_future.exception()  # what fails within a worker comes as a state
        if error is not None and not isinstance(error, BrokenExecutor):
            reason = f"{type(error).__name__}: {error}"
            self._refusals[chunk.index] += 1
            if self._refusals[chunk.index] >= _REFUSALS_OF_A_CHUNK:
                return self._given_up(chunk, reason)
            raise _NotHandedOver(chunk, reason) from error
        try:
            result = future.result()
        except (InputError, BrokenExecutor, CancelledError):
            raise
        except Exception as error:  # whatever broke one chunk must not take the others along
            return self._given_up(chunk, f"{type(error).__name__}: {error}")
        return self._came_through(chunk, ChunkTranscript.model_validate_json(result))

    def _came_through(self, chunk: Chunk, transcript: ChunkTranscript) -> Done:
        self._losses_in_a_row = 0
        self._has_begun = True
        self._silent_since_s = self._observations.now_s
        if transcript.ready_at_s > self._observations.stood_still_s:  # it took that long at work
            self._deadlines.finished(_sound_s(chunk), transcript.seconds - transcript.load_s)
        return Done(chunk, transcript)

    def _given_up(self, chunk: Chunk, reason: str) -> Done:
        reason = " ".join(reason.split())[:_LONGEST_REASON]
        self._logger.error(
            translated("Chunk %s failed for good, %s is left out: %s"),
            chunk.number,
            chunk.span,
            reason,
        )
        return Done(chunk, None, reason)

    def _watch(self) -> None:
        """Look after the workers; end those that are past their deadline.

        Raises:
            BrokenExecutor: no result will come from this pool any more.
        """
        self._workers.look()
        self._available_bytes = this_machine().available_bytes
        at_work = self._at_work()
        self._observations.look(at_work, self._workers.stopped())
        self._end_overdue(at_work)
        self._end_stopped(at_work)
        self._has_begun = self._has_begun or bool(at_work)
        if at_work or not self._under_way:
            self._silent_since_s = self._observations.now_s
        if not self._workers.can_finish:
            raise BrokenExecutor(translated("the pool takes no results any more"))
        limit_s = _SILENT_WITH_MODEL_S if self._has_begun else _SILENT_S
        if self._observations.now_s - self._silent_since_s > limit_s:
            raise BrokenExecutor(translated("no worker took a chunk"))

    def _end_overdue(self, at_work: Sequence[AtWork]) -> None:
        for worker in at_work:
            chunk = self._chunks[worker.chunk_index]
            limit_s = self._deadlines.limit_s(_sound_s(chunk), self._deaths[chunk.index])
            if self._observations.at_it_s(worker) > limit_s and chunk.index not in self._overdue:
                self._logger.warning(
                    translated("Chunk %s is past its deadline of %s: its worker, pid %d, is ended"),
                    chunk.number,
                    format_time(limit_s),
                    worker.pid,
                )
                self._overdue.add(chunk.index)
                _kill(worker.pid)

    def _end_stopped(self, at_work: Sequence[AtWork]) -> None:
        """End what is stopped (SIGSTOP) and keeps chunks from being done.

        Workers take chunks from one queue, under a lock: one that is stopped while it holds it
        keeps chunks from all of them. One that is stopped at its chunk has a deadline. A stopped
        fork server neither starts workers nor tells of those that died.
        """
        stopped = self._observations.stopped_for(_STOPPED_S) - self._ended_idle
        stopped.difference_update(worker.pid for worker in at_work)
        if len(at_work) >= len(self._under_way):  # no chunk waits to be taken
            stopped.difference_update(self._workers.pids)
        for pid in stopped:
            self._logger.warning(
                translated("Process %d is stopped while it is needed: it is ended"), pid
            )
            self._ended_idle.add(pid)
            _kill(pid)

    def _at_work(self) -> list[AtWork]:
        """Workers at chunks of this pool; a result that just arrived makes one idle."""
        expected = {chunk.index for chunk in self._under_way.values()}
        return [
            worker for worker in workers_at_work(self._folder) if worker.chunk_index in expected
        ]

    def _replace_pool(self, loss: BrokenExecutor | CancelledError) -> Iterator[Done]:
        """The pool is lost: sort out what that cost, and make another."""
        at_work = self._at_work()
        died = self._workers.died()
        killers = {pid: code for pid, code in died.items() if pid not in self._ended_idle}
        self._workers.stop(at_once=True)
        forget_workers(self._folder)
        yield from self._take_rest()
        suspects = {worker.chunk_index for worker in at_work if worker.pid in killers}
        if not killers:
            suspects = {worker.chunk_index for worker in at_work}
        refused = loss.chunk if isinstance(loss, _NotHandedOver) else None
        innocent = self._ended_idle or refused
        if set(killers.values()) == {FORK_SERVER_DIED} or (innocent and not killers):
            suspects.clear()  # no chunk is to blame
        how = str(loss) if refused and not died else ends_shown(died)
        self._losses_in_a_row += 1
        message = translated("The worker was lost: {how}.").format(how=how)
        for chunk in self._note_lost(message, at_work):
            transcript = self._find_result(chunk)
            if transcript is not None:
                yield self._came_through(chunk, transcript)
            elif chunk.index in suspects:
                yield from self._suspect(chunk, how)
            elif chunk is refused:
                self._suspects.append(chunk)
            else:
                self._waiting.append(chunk)
        self._waiting = deque(sorted(self._waiting, key=lambda chunk: chunk.index))
        self._lost.mark(_MARK_WITHIN_S)
        self._shrink_after_memory(killers)
        self._ended_idle.clear()
        self._has_begun = False
        self._silent_since_s = self._observations.now_s
        if self._losses_in_a_row >= _LOSSES_IN_A_ROW:
            for chunk in [*self._waiting, *self._suspects]:
                reason = translated("workers do not stay alive ({how})").format(how=how)
                yield self._given_up(chunk, reason)
            self._waiting.clear()
            self._suspects.clear()
        elif self._waiting or self._suspects:
            self._logger.warning(
                translated("Workers are started again: %s; %d chunk(s) to go"),
                how,
                len(self._waiting) + len(self._suspects),
            )

    def _take_rest(self) -> Iterator[Done]:
        """The chunks that had come back when the pool was lost.

        What failed counts as lost with it, whether it reached a worker or not.
        """
        while not self._finished.empty():
            future = self._finished.get()
            try:
                result = future.result()
            except Exception:  # whatever it was, the chunk runs again
                continue
            if (chunk := self._under_way.pop(future, None)) is not None:
                yield self._came_through(chunk, ChunkTranscript.model_validate_json(result))

    def _suspect(self, chunk: Chunk, how: str) -> Iterator[Done]:
        self._deaths[chunk.index] += 1
        deaths = self._deaths[chunk.index]
        if chunk.index in self._overdue:
            self._overdue.discard(chunk.index)
            how = translated("past its deadline")
        if deaths >= _DEATHS_OF_A_CHUNK:
            reason = translated("its worker died {deaths} times ({how})")
            yield self._given_up(chunk, reason.format(deaths=deaths, how=how))
        else:
            self._logger.warning(
                translated("Chunk %s lost its worker (%s): it runs again, alone"),
                chunk.number,
                how,
            )
            self._suspects.append(chunk)

    def _note_lost(self, message: str, at_work: Sequence[AtWork]) -> list[Chunk]:
        began = {worker.chunk_index for worker in at_work}
        lost = list(self._under_way.values())
        for future, chunk in self._under_way.items():
            self._lost.add(future.task_run_id, message, began=chunk.index in began)
        self._under_way.clear()
        return lost

    def _shrink_after_memory(self, killers: dict[int, int]) -> None:
        """Fewer workers, or smaller batches in the last one, after what looks like their memory."""
        kills = out_of_memory_kills()
        sizing = self._workers.sizing
        little = self._available_bytes < _LITTLE_MEMORY * sizing.memory_per_worker_bytes
        scarce = kills > self._memory_kills or little
        self._memory_kills = kills
        # The kernel may take the fork server instead of one of those that it forked.
        if not scarce or not {-signal.SIGKILL, FORK_SERVER_DIED}.intersection(killers.values()):
            return
        if sizing.workers > 1:
            update = {"workers": sizing.workers // 2}
        else:
            update = {"batch_size": max(1, sizing.batch_size // 2)}
        self._workers.sizing = sizing.model_copy(update=update)
        self._logger.warning(
            translated("Memory ran out: going on with %d worker(s), batches of %d windows"),
            self._workers.sizing.workers,
            self._workers.sizing.batch_size,
        )


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _sound_s(chunk: Chunk) -> float:
    return sum(end_s - start_s for start_s, end_s in chunk.sound)
