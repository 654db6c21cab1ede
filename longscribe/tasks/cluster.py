"""A run's chunks on a Dask cluster: with which weights, and with which samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from prefect.logging import get_run_logger

from longscribe.errors import ClusterError
from longscribe.models.forms import describe
from longscribe.models.weights import ModelSpec
from longscribe.monitoring.time_limits import TimeLimits
from longscribe.options import DecodingOptions, RunOptions
from longscribe.task_runner.cluster import DaskWorker
from longscribe.task_runner.cluster_runner import ClusterTaskRunner
from longscribe.task_runner.cluster_worker import Call
from longscribe.tasks.chunk_runner import ChunkTraits, WorkerLines
from longscribe.tasks.chunk_site import packed
from longscribe.tasks.cluster_site import (
    facts,
    find_weights,
    get_ready,
    have_weights,
    receive_weights,
)
from longscribe.tasks.cluster_sizing import difference
from longscribe.tasks.kept_results import keep_returned
from longscribe.wording.catalog import translated

_PIECE_BYTES: Final = 16 << 20
_SMALL_BYTES: Final = 32 << 20  # beside the weights in a model's folder


def cluster_runner(spec: ModelSpec, options: RunOptions) -> ClusterTaskRunner:
    """A runner whose workers are a Dask cluster's, and have the model before their first chunk."""
    return ClusterTaskRunner(
        options.address,
        ChunkSupply(spec, options.for_chunks),
        most_workers=1024 if options.workers == "auto" else options.workers,
        traits=ChunkTraits(TimeLimits(spec.dims.parameters, options.chunk_timeout_s)),
        processors=[WorkerLines],
    )


class ChunkSupply:
    """What chunks need of a Dask worker: the same code, the model, their samples.

    Args:
        spec: of the model, on this machine.
        options: of the run.
    """

    def __init__(self, spec: ModelSpec, options: DecodingOptions) -> None:
        self._spec = spec
        self._options = options
        self._own = facts(options)
        self._others: set[str] = set()  # addresses of workers whose results are not kept
        self._logger = get_run_logger()

    def prepare(self, worker: DaskWorker, call: Call) -> None:
        """Check a worker, send it the weights if it lacks them, and load them.

        Raises:
            ClusterError: it has another version.
        """
        about = call(facts, self._options)
        if wrong := difference(self._own, about):
            self._logger.warning(
                translated("The Dask worker %s is not used: %s"), worker.address, wrong
            )
            raise ClusterError(wrong)
        if (about.instructions, about.precision) != (self._own.instructions, self._own.precision):
            self._others.add(worker.address)
            self._logger.warning(
                translated(
                    "The Dask worker %s has another processor or precision (%s): words may differ "
                    "in places from those here, and its chunks are not kept for other runs"
                ),
                worker.address,
                about.precision,
            )
        if not call(find_weights, self._spec):
            self._send_weights(worker, call)
        call(get_ready, worker.threads, self._spec, self._options)
        self._logger.info(
            translated("Dask worker %s is ready: pid %d on %s, %d thread(s)"),
            worker.address,
            about.pid,
            about.host,
            worker.threads,
        )

    def attachments(self, parameters: Mapping[str, Any]) -> Mapping[str, bytes]:
        """A chunk's samples."""
        return packed(parameters["chunk"])

    def keep(self, worker: DaskWorker, path: str, content: bytes) -> None:
        """Keep a chunk's result, if a run here would get the same."""
        if worker.address not in self._others:
            keep_returned(path, content)

    def _send_weights(self, worker: DaskWorker, call: Call) -> None:
        files = _files(self._spec.path)
        self._logger.info(
            translated("Sending the weights to %s, which lacks them: %.0f MB"),
            worker.address,
            sum(path.stat().st_size for path in files) / 1e6,
        )
        is_folder = self._spec.path.is_dir()
        for path in files:
            name = str(path.relative_to(self._spec.path)) if is_folder else path.name
            with path.open("rb") as file:
                while content := file.read(_PIECE_BYTES):
                    offset = file.tell() - len(content)
                    call(receive_weights, self._spec, name, offset, content)
        call(have_weights, self._spec, is_folder)


def _files(model: Path) -> list[Path]:
    """All that a model needs elsewhere."""
    if not model.is_dir():
        return [model]
    beside = [path for path in model.iterdir() if path.is_file()]
    small = [path for path in beside if path.stat().st_size <= _SMALL_BYTES]
    return sorted({*describe(model).files, *small})
