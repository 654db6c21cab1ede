"""Beside stage 4: the voices in a part of the recording, in a worker process."""

from typing import Any

from prefect import task
from prefect.tasks import exponential_backoff

from longscribe.speakers.diarizer import Diarizer
from longscribe.speakers.parts import Part
from longscribe.tasks.kept_results import SERIALIZER, keep_now, storage_key
from longscribe.tasks.retries import worth_retrying


@task(
    name="hear_voices",
    task_run_name="{part.label}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=worth_retrying,
    cache_key_fn=storage_key,
    persist_result=True,
    result_serializer=SERIALIZER,
)
def hear_voices(part: Part, diarizer: Diarizer[Any], key: str) -> str:
    """Hear a part's voices in a worker process.

    Args:
        part: of a recording.
        diarizer: what hears it.
        key: that the result is kept under.

    Returns:
        what it heard, as JSON.

    Raises:
        ModelError: a network cannot be loaded.
    """
    from longscribe.runtime.worker_progress import advance

    return keep_now(key, diarizer.hear(part, advance))
