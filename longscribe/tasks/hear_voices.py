"""Beside stage 4: the voices in a part of the recording, in a worker process."""

from prefect import task
from prefect.tasks import exponential_backoff

from longscribe.speakers.spans import Span
from longscribe.speakers.weights import SpeakerWeights
from longscribe.tasks.kept_results import SERIALIZER, storage_key
from longscribe.tasks.retries import worth_retrying


@task(
    name="hear_voices",
    task_run_name="{span.label}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=worth_retrying,
    cache_key_fn=storage_key,
    persist_result=True,
    result_serializer=SERIALIZER,
)
def hear_voices(span: Span, weights: SpeakerWeights, key: str) -> str:
    """Hear a span's voices in a worker process.

    Args:
        span: of a recording.
        weights: of both networks.
        key: that the result is kept under.

    Returns:
        a `SpanVoices` as JSON.

    Raises:
        ModelError: a checkpoint cannot be loaded.
    """
    # Here, not above, as in `transcribe_chunk`: only workers load torch, and once.
    from longscribe.runtime.worker_progress import advance
    from longscribe.speakers.listening import listener

    return listener(weights).listen(span, advance).model_dump_json()
