"""Stage 4: the chunks, side by side on the process pool, each with its own retries."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectConcurrentFuture
from prefect.logging import get_run_logger
from prefect.runtime import task_run
from prefect.settings import (
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    temporary_settings,
)
from prefect.task_runners import ProcessPoolTaskRunner
from prefect.tasks import exponential_backoff

from longscribe.audio.chunks import Chunk
from longscribe.cache.folder import results_folder
from longscribe.errors import InputError
from longscribe.models.weights import ModelSpec
from longscribe.monitoring.deadlines import Deadlines
from longscribe.monitoring.run_record import RunRecord
from longscribe.options import DecodingOptions, Precision
from longscribe.tasks.artifacts import RunArtifacts
from longscribe.tasks.heartbeats import at_work
from longscribe.tasks.kept_results import (
    SERIALIZER,
    keeping,
    kept_transcript,
    result_path,
    show_as_cached,
    storage_key,
)
from longscribe.tasks.pool import CHUNK_LOGGER, Workers
from longscribe.tasks.report import Report
from longscribe.tasks.supervision import Supervisor
from longscribe.tasks.worker import GPU_LOST, leave_pool
from longscribe.transcript import ChunkTranscript
from longscribe.wording.catalog import translated

_AT_WORK = "at-work"  # in the scratch folder


class Transcribed(NamedTuple):
    """What became of a recording's chunks.

    Attributes:
        results: `ChunkTranscript`s as JSON, in the order they were finished.
        failures: chunk index -> why there is no result.
        kept: how many results are from earlier runs.
        record: what was done when, for tables and plots.
    """

    results: list[str]
    failures: dict[int, str]
    kept: int
    record: RunRecord = RunRecord()


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
    cache_key_fn=storage_key,
    # What is kept was looked for before a worker was given the chunk.
    refresh_cache=True,
    persist_result=True,
    result_serializer=SERIALIZER,
)
def transcribe_chunk(
    chunk: Chunk,
    spec: ModelSpec,
    options: DecodingOptions,
    batch_size: int,
    key: str,
    heartbeats: Path,
) -> str:
    """Transcribe one chunk in a worker process.

    Args:
        chunk: of an accelerated recording.
        spec: of the model.
        options: of the run.
        batch_size: windows decoded side by side.
        key: that the result is kept under.
        heartbeats: folder where the worker says what it is at.

    Returns:
        a `ChunkTranscript` as JSON: ten hours of it are a few MB, where objects would be a hundred,
        and what is kept of a run must not depend on where a class lives in the code.

    Raises:
        ModelError: the checkpoint cannot be loaded.
    """
    # Here, not above: only workers load torch. And from its own module, because Prefect pickles a
    # task's body by value: a model cached in this module's globals would be loaded for every chunk.
    from longscribe.decoding.chunk import transcribe_chunk as transcribe
    from longscribe.engine.gpu_memory import is_lost

    logger = get_run_logger().getChild(CHUNK_LOGGER)  # type: ignore[union-attr]  # Prefect's has it
    with at_work(heartbeats, chunk.index):
        logger.info(
            translated("Chunk %s started: %s, %.1f s, pid %d"),
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
        except RuntimeError as error:
            if is_lost(error):
                # This process would fail every chunk from now on; a new one may find the GPU well.
                logger.warning(translated("Chunk %s failed on the GPU: %s"), chunk.number, error)
                leave_pool(GPU_LOST)
            raise
    result = result.model_copy(update={"attempts": task_run.run_count or 1})
    logger.info(
        translated(
            "Chunk %s done: %s, %d segments, %.1f s, %.1f x real time, %s, %d windows, "
            "%d fell back, CPU %.0f %%, peak memory %.2f GB, pid %d"
        ),
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
    workers: Workers,
    chunks: Sequence[Chunk],
    keys: Mapping[int, str],
    precision: Precision,
    spec: ModelSpec,
    options: DecodingOptions,
    scratch: Path,
    *,
    artifacts: RunArtifacts | None = None,
    not_before_s: float = 0.0,
    timeout_s: float | None = None,
    ending_s: float = 0.0,
) -> Transcribed:
    """Run `transcribe_chunk` for every chunk that no earlier run finished, and report on them.

    Args:
        workers: of the run; started, if they are not yet, when there is something to do.
        chunks: of the recording.
        keys: chunk index -> what its result is kept under.
        precision: that kept results must have.
        spec: of the model.
        options: of the run.
        scratch: folder of this run.
        artifacts: of the run in the Prefect UI; None shows nothing there.
        not_before_s: results kept before, in seconds since 1970, are left alone.
        timeout_s: how long a chunk may take; None goes by the run's own speed.
        ending_s: what the run takes after its last chunk, for the time left.

    Raises:
        InputError: a worker found that the model cannot be used.
    """
    heartbeats = scratch / _AT_WORK
    outcome = Transcribed([], {}, 0)

    def find_result(chunk: Chunk) -> ChunkTranscript | None:
        try:
            return kept_transcript(chunk, keys[chunk.index], precision, not_before_s)
        except ValueError:
            get_run_logger().warning(
                translated("The kept result of chunk %s is damaged: it is done again"),
                chunk.number,
            )
            return None

    def submit(
        pool: ProcessPoolTaskRunner, chunk: Chunk, batch_size: int
    ) -> PrefectConcurrentFuture[Any]:
        parameters = {
            "chunk": chunk,
            "spec": spec,
            "options": options,
            "batch_size": batch_size,
            "key": keys[chunk.index],
            "heartbeats": heartbeats,
        }
        return pool.submit(keeping(transcribe_chunk), parameters)

    report = Report(chunks, workers, heartbeats, artifacts, ending_s)
    missing = []
    for chunk in chunks:
        found = find_result(chunk)
        if found is None or not show_as_cached(chunk, keys[chunk.index]):
            missing.append(chunk)
        else:
            outcome.results.append(found.model_dump_json())
            report.kept(chunk, found)
    kept = len(outcome.results)
    if missing:
        deadlines = Deadlines(spec.dims.parameters, timeout_s)
        supervisor = Supervisor(workers, heartbeats, missing, submit, find_result, deadlines)
        warned, slower = False, False
        with (
            report.watching(),
            # A new worker would ask the server for its version before its first chunk, as the run
            # itself has done, and die where the server is away.
            temporary_settings({PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}),
            closing(supervisor.done()) as all_done,
        ):
            for done in all_done:
                if done.transcript is None:
                    outcome.failures[done.chunk.index] = done.reason
                    report.failed(done.chunk, done.reason)
                    continue
                outcome.results.append(done.transcript.model_dump_json())
                report.finished(done.chunk, done.transcript)
                if not slower and (precision, done.transcript.precision) == ("int8", "float32"):
                    slower = True
                    get_run_logger().warning(
                        translated(
                            "This build of torch has no int8 products that can be used here: "
                            "chunks are computed in float32, which is slower"
                        )
                    )
                if not warned and not result_path(keys[done.chunk.index]).exists():
                    warned = True
                    get_run_logger().warning(
                        translated(
                            "Finished chunks cannot be kept in %s (is its disk full?): "
                            "the run goes on, another would do them again"
                        ),
                        results_folder(),
                    )
    return outcome._replace(kept=kept, record=report.record())
