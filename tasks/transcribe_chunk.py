"""Stage 4: the chunks, side by side on the process pool, each with its own retries."""

import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger
from prefect.task_runners import ProcessPoolTaskRunner
from prefect.tasks import exponential_backoff

from longscribe.chunks import Chunk
from longscribe.errors import InputError
from longscribe.machine import Sizing
from longscribe.options import DecodingOptions
from longscribe.progress import Progress
from longscribe.transcript import ChunkTranscript, format_time
from longscribe.weights import ModelSpec
from tasks.pool import CHUNK_LOGGER


def _worth_retrying(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Bad input stays bad: only the rest is tried again."""
    return not isinstance(state.result(raise_on_failure=False), InputError)


@task(
    name="transcribe_chunk",
    task_run_name="{chunk.label}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_worth_retrying,
    cache_policy=NO_CACHE,
)
def transcribe_chunk(
    chunk: Chunk, spec: ModelSpec, options: DecodingOptions, batch_size: int
) -> str:
    """Transcribe one chunk in a worker process.

    Returns:
        a `ChunkTranscript` as JSON: ten hours of it are a few MB, where objects would be a hundred,
        and what is kept of a run must not depend on where a class lives in the code.

    Raises:
        ModelError: the checkpoint cannot be loaded.
    """
    # Here, not above: only workers load torch. And from its own module, because Prefect pickles a
    # task's body by value: a model cached in this module's globals would be loaded for every chunk.
    from longscribe.decoding import transcribe_chunk as transcribe

    logger = get_run_logger().getChild(CHUNK_LOGGER)  # type: ignore[union-attr]  # Prefect's has it
    logger.info(
        "Chunk %s started: %s, %.1f s, pid %d",
        chunk.number,
        chunk.span,
        chunk.duration_s,
        os.getpid(),
    )
    try:
        result = transcribe(chunk, spec, options, batch_size)
    except SystemExit as error:
        # It would end the executor's manager thread in the parent and hang the run
        # (concurrent.futures takes only Exception back from a child; prefect 3.8).
        raise RuntimeError(f"the decoder asked to exit with {error.code}") from error
    logger.info(
        "Chunk %s done: %s, %d segments, %.1f s, %.1f x real time, %s, %d windows, %d fell back, "
        "CPU %.0f %%, peak memory %.2f GB, pid %d",
        chunk.number,
        chunk.span,
        len(result.segments),
        result.seconds,
        (chunk.original_end_s - chunk.original_start_s) / max(result.seconds, 1e-6),
        result.precision,
        result.windows,
        result.fallbacks,
        result.cpu_percent,
        result.peak_memory_bytes / 1e9,
        result.pid,
    )
    return result.model_dump_json()


def transcribe_chunks(
    pool: ProcessPoolTaskRunner,
    chunks: Sequence[Chunk],
    spec: ModelSpec,
    options: DecodingOptions,
    sizing: Sizing,
) -> list[str]:
    """Run `transcribe_chunk` for every chunk on a pool of workers and report as they come in.

    Returns:
        the finished chunks' `ChunkTranscript`s as JSON, in the order they finished; a chunk that
        failed for good is missing and has been reported.

    Raises:
        InputError: a worker found that the model cannot be used.
    """
    results: list[str] = []
    waiting = deque(chunks)
    under_way: dict[PrefectFuture[Any], Chunk] = {}
    report = _Report(chunks, sizing.workers)

    def start_next() -> None:
        if waiting:
            chunk = waiting.popleft()
            parameters = {
                "chunk": chunk,
                "spec": spec,
                "options": options,
                "batch_size": sizing.batch_size,
            }
            under_way[pool.submit(transcribe_chunk, parameters)] = chunk

    # Chunk by chunk instead of pool.map: that one's threads race, and a full chunk that starts
    # last, after the short one, leaves a worker idle. One more than workers is always waiting.
    for _ in range(sizing.workers + 1):
        start_next()
    while under_way:
        future = next(as_completed(list(under_way)))
        chunk = under_way.pop(future)
        start_next()
        result = _result_of(future, chunk)
        if result is None:
            report.failed(chunk)
        else:
            results.append(result)
            report.finished(chunk, ChunkTranscript.model_validate_json(result))
    return results


def _result_of(future: PrefectFuture[Any], chunk: Chunk) -> str | None:
    try:
        result: str = future.result()
        return result
    except InputError:
        raise
    except Exception as error:  # whatever broke one chunk must not take the others along
        get_run_logger().error(
            "Chunk %s failed for good, %s is left out: %s: %s",
            chunk.number,
            chunk.span,
            type(error).__name__,
            error,
        )
        return None


class _Report:
    """One line per finished chunk: how far, and how long yet."""

    def __init__(self, chunks: Sequence[Chunk], workers: int) -> None:
        self._began_at_s: float | None = time.time()
        self._progress = Progress({chunk.index: chunk.duration_s for chunk in chunks}, workers)
        self._waiting = [chunk.index for chunk in chunks]
        self._running: dict[int, float] = {}
        for _ in range(workers):
            self._start_next()
        get_run_logger().info(
            "Transcribing: progress 0 %% (0/%d)",
            self._progress.total,
            extra={"progress_percent": 0.0, "progress_left_s": None},
        )

    def finished(self, chunk: Chunk, transcript: ChunkTranscript) -> None:
        """A chunk came through."""
        if self._began_at_s is not None:
            get_run_logger().info(
                "Workers and model were ready after %.1f s",
                transcript.ready_at_s - self._began_at_s,
            )
            self._began_at_s = None
        self._say(chunk, transcript.seconds, f"{len(transcript.segments)} segments")

    def failed(self, chunk: Chunk) -> None:
        """A chunk was given up."""
        started_s = self._running.get(chunk.index, time.monotonic())
        self._say(chunk, time.monotonic() - started_s, "failed")

    def _say(self, chunk: Chunk, seconds: float, outcome: str) -> None:
        progress = self._progress
        progress.finish(chunk.index, seconds)
        self._running.pop(chunk.index, None)
        self._start_next()
        now_s = time.monotonic()
        left_s = progress.remaining_s({i: now_s - start_s for i, start_s in self._running.items()})
        about = "" if left_s is None else f", about {format_time(left_s)} left"
        get_run_logger().info(
            "Finished chunk %s, %s; progress %.0f %% (%d/%d)%s",
            chunk.number,
            outcome,
            progress.percent,
            progress.done,
            progress.total,
            about,
            extra={"progress_percent": progress.percent, "progress_left_s": left_s},
        )

    def _start_next(self) -> None:
        # The pool takes chunks in the order given; which worker takes which does not matter here.
        if self._waiting:
            self._running[self._waiting.pop(0)] = time.monotonic()
