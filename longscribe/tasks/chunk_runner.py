"""The worker processes of one run, as Prefect's task runner for its chunks."""

import logging
from collections.abc import Mapping
from typing import Any

from longscribe.audio.chunks import Chunk
from longscribe.models.weights import ModelSpec
from longscribe.monitoring.deadlines import Deadlines
from longscribe.options import DecodingOptions
from longscribe.runtime.machine import Sizing
from longscribe.task_runner import SurvivingTaskRunner
from longscribe.tasks.preload import PRELOAD
from longscribe.tasks.worker import start_worker
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
        timeout_s: how long a chunk may take; None goes by the run's own speed.
    """
    return SurvivingTaskRunner(
        sizing.workers,
        start_worker,
        (sizing.threads_per_worker, (spec, options)),
        traits=ChunkTraits(Deadlines(spec.dims.parameters, timeout_s)),
        memory_per_worker_bytes=sizing.memory_per_worker_bytes,
        preload=PRELOAD,
        processors=[WorkerLines],
    )


class ChunkTraits:
    """A chunk's name, and how long it may take by the sound that is in it."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines

    def name(self, parameters: Mapping[str, Any]) -> str:
        """Such as `Chunk 3 of 7`."""
        return translated("Chunk {number}").format(number=parameters["chunk"].number)

    def limit_s(self, parameters: Mapping[str, Any], deaths: int) -> float:
        """Its deadline."""
        return self._deadlines.limit_s(_sound_s(parameters["chunk"]), deaths)

    def finished(self, parameters: Mapping[str, Any], seconds: float) -> None:
        """What others may take goes by what this one took."""
        self._deadlines.finished(_sound_s(parameters["chunk"]), seconds)


class WorkerLines:
    """Prints the lines that workers send to the API, as they pass through the parent.

    Two processes on one terminal would tear each other's lines, so only the parent prints. The
    engine's own lines are left out; a chunk's are told by their logger's name.
    """

    def __call__(self, message_type: str, message_payload: Any) -> tuple[str, Any] | None:
        """Print one and pass it on."""
        if message_type == "log":
            level, name = message_payload["level"], message_payload["name"]
            if level >= logging.WARNING or name.endswith(f".{CHUNK_LOGGER}"):
                logging.getLogger("longscribe.workers").log(level, "%s", message_payload["message"])
        return message_type, message_payload


def _sound_s(chunk: Chunk) -> float:
    return sum(end_s - start_s for start_s, end_s in chunk.sound)
