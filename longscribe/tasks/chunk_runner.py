"""The worker processes of one run, as Prefect's task runner for its chunks."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from longscribe.audio.chunks import Chunk
from longscribe.audio.lanes import declared_duration_s
from longscribe.errors import LongscribeError
from longscribe.models.weights import ModelSpec, find_model, resolve_model
from longscribe.monitoring.time_limits import TimeLimits
from longscribe.options import DecodingOptions, RunOptions
from longscribe.runtime.machine import Sizing
from longscribe.storage.access import Access
from longscribe.storage.lanes import lanes_on_disk
from longscribe.task_runner import Patience, Setup, Staff, SurvivingTaskRunner, start_early
from longscribe.tasks.preload import PRELOAD
from longscribe.tasks.rows import rows_of_runs
from longscribe.tasks.sizing import share_of
from longscribe.tasks.worker import start_worker
from longscribe.text.hotwords import with_hotwords
from longscribe.wording.catalog import translated

CHUNK_LOGGER = "chunk"  # the name under a task run's logger that marks a chunk's own lines


def chunk_runner(
    sizing: Sizing, spec: ModelSpec, options: DecodingOptions, timeout_s: float | None = None
) -> SurvivingTaskRunner:
    """A runner whose workers have the model ready before their first chunk.

    Args:
        sizing: of the run.
        spec: of the model.
        options: of the run.
        timeout_s: how much of its worker's time a chunk may take; None goes by the run's own speed.
    """
    workers, setup = _staff(sizing, spec, options)
    return SurvivingTaskRunner(
        workers,
        setup.initializer,
        setup.initargs,
        traits=ChunkTraits(TimeLimits(spec.dims.parameters, timeout_s)),
        memory_per_worker_bytes=sizing.memory_per_worker_bytes,
        preload=setup.preload,
        processors=[WorkerLines],
    )


def start_workers_early(options: RunOptions) -> None:
    """Start what a run's `chunk_runner` is going to want, while other things are got ready.

    Nothing is started where that cannot be told yet, or what is wrong is the run's to say.

    Args:
        options: of the run, as the command has them.
    """
    with suppress(LongscribeError, OSError):
        options = with_hotwords(Access.from_environment().confine(options))
        if find_model(options.model, options.model_dir) is None:
            return
        spec = resolve_model(options.model, options.model_dir)
        lanes = lanes_on_disk(options)
        if lanes is None:
            return
        share = share_of(declared_duration_s(lanes), spec, options)
        start_early(_staff(share.sizing, spec, options.for_chunks))


def _staff(sizing: Sizing, spec: ModelSpec, options: DecodingOptions) -> Staff:
    # Of the options only what decides about the network: whatever else a run wants, the workers of
    # one before it will do.
    of_network = DecodingOptions(
        decoding=options.decoding, precision=options.precision, device=options.device
    )
    initargs = (sizing.threads_per_worker, (spec, of_network))
    return Staff(sizing.workers, Setup(start_worker, initargs, PRELOAD))


class ChunkTraits:
    """A chunk's name, and how long it may take by the sound that is in it; a part's of voices.

    The pieces that a worker counts as progress take a second of a core in the largest model; where
    four busy processes share two cores with two workers, one that turns in circles has used up its
    patience within a minute and a half.
    """

    patience: Patience | None = Patience(computing_s=25.0, waiting_s=90.0)

    def __init__(self, limits: TimeLimits) -> None:
        self._limits = limits

    def name(self, parameters: Mapping[str, Any]) -> str:
        """Such as `Chunk 3 of 7`."""
        if "part" in parameters:
            return translated("Voices {number}").format(number=parameters["part"].number)
        return translated("Chunk {number}").format(number=parameters["chunk"].number)

    def limit_s(self, parameters: Mapping[str, Any], deaths: int) -> float:
        """How much of its worker's time it may take."""
        if "part" in parameters:
            limit_s: float = parameters["diarizer"].limit_s(parameters["part"])
            return limit_s * float(2**deaths)
        return self._limits.limit_s(_sound_s(parameters["chunk"]), deaths)

    def finished(self, parameters: Mapping[str, Any], seconds: float) -> None:
        """What others may take goes by what this one took."""
        if "chunk" in parameters:
            self._limits.finished(_sound_s(parameters["chunk"]), seconds)


class WorkerLines:
    """Prints the lines that workers send to the API, as they pass through the parent.

    Where the server has no rows of chunks, their events, of which it makes them, end here, and
    their lines go to the recording's.

    Two processes on one terminal would tear each other's lines, so only the parent prints. The
    engine's own lines are left out; a chunk's are told by their logger's name.
    """

    def __init__(self) -> None:
        self._has_rows = rows_of_runs() == "chunk"

    def __call__(self, message_type: str, message_payload: Any) -> tuple[str, Any] | None:
        """Print one and pass it on."""
        if message_type == "log":
            level, name = message_payload["level"], message_payload["name"]
            if level >= logging.WARNING or name.endswith(f".{CHUNK_LOGGER}"):
                logging.getLogger("longscribe.workers").log(level, "%s", message_payload["message"])
        if self._has_rows:
            return message_type, message_payload
        if message_type == "log":
            return message_type, {**message_payload, "task_run_id": None}
        return None


def _sound_s(chunk: Chunk) -> float:
    return sum(end_s - start_s for start_s, end_s in chunk.sound)
