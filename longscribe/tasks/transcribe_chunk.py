"""Stage 4: one chunk, in a worker process, with its own retries."""

import os

from prefect import task
from prefect.logging import get_run_logger
from prefect.runtime import task_run
from prefect.tasks import exponential_backoff

from longscribe.audio.chunks import Chunk
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.task_runner import GPU_LOST, halvings, leave_pool
from longscribe.task_runner.cluster_inside import clock_offset_s
from longscribe.task_runner.inside import worker_number
from longscribe.tasks.chunk_runner import CHUNK_LOGGER
from longscribe.tasks.chunk_site import on_site
from longscribe.tasks.kept_results import SERIALIZER, keep_now, storage_key
from longscribe.tasks.retries import worth_retrying
from longscribe.wording.catalog import translated


@task(
    name="transcribe_chunk",
    task_run_name="{chunk.label}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=worth_retrying,
    cache_key_fn=storage_key,
    persist_result=True,
    result_serializer=SERIALIZER,
)
def transcribe_chunk(
    chunk: Chunk,
    spec: ModelSpec,
    options: DecodingOptions,
    batch_size: int,
    key: str,
) -> str:
    """Transcribe one chunk in a worker process.

    Args:
        chunk: of an accelerated recording.
        spec: of the model.
        options: of the run.
        batch_size: windows decoded side by side; fewer after memory ran out.
        key: that the result is kept under.

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
    logger.info(
        translated("Chunk %s started: %s, %.1f s, pid %d"),
        chunk.number,
        chunk.span,
        chunk.duration_s,
        os.getpid(),
    )
    try:
        with on_site(chunk, spec) as (here, model):
            result = transcribe(here, model, options, max(1, batch_size >> halvings()))
    except RuntimeError as error:
        if is_lost(error):
            # This process would fail every chunk from now on; a new one may find the GPU well.
            logger.warning(translated("Chunk %s failed on the GPU: %s"), chunk.number, error)
            leave_pool(GPU_LOST)
        raise
    result = result.model_copy(
        update={
            "attempts": task_run.run_count or 1,
            "pid": worker_number(),
            "ready_at_s": result.ready_at_s + clock_offset_s(),
        }
    )
    logger.info(
        translated("Chunk %s done: %s, %d segments, %.1f s, %.1f x real time, CPU %.0f %%"),
        chunk.number,
        chunk.span,
        len(result.segments),
        result.seconds,
        (chunk.original_end_s - chunk.original_start_s) / max(result.seconds, 1e-6),
        result.cpu_percent,
    )
    logger.info(
        translated("Chunk %s: %s, %d windows, %d fell back, %d heard again, %.2f GB at most"),
        chunk.number,
        result.precision,
        result.windows,
        result.fallbacks,
        result.windows_again,
        result.peak_memory_bytes / 1e9,
    )
    return keep_now(key, result.model_dump_json())
