"""How many workers a run takes, with how much of the machine each."""

from typing import Final, NamedTuple

from prefect.logging import get_run_logger

from longscribe.audio.chunks import most_chunks
from longscribe.models.weights import ModelSpec
from longscribe.options import Auto, RunOptions
from longscribe.runtime.machine import (
    Demand,
    Machine,
    Sizing,
    memory_demand,
    size_run,
    this_machine,
)
from longscribe.task_runner import kept_bytes
from longscribe.tasks.cluster_sizing import sizing_on_cluster
from longscribe.tasks.current_run import memory_kills
from longscribe.wording.catalog import translated

_LONG_S: Final = 3600.0


class Share(NamedTuple):
    """What a run takes of the machine, and why.

    Attributes:
        sizing: what it takes.
        demand: what its model wants.
        machine: what is there.
    """

    sizing: Sizing
    demand: Demand
    machine: Machine


def share_of(declared_s: float | None, spec: ModelSpec, options: RunOptions) -> Share:
    """What a run takes of the machine as it is now.

    Args:
        declared_s: the recording's length, in seconds; one that hides it counts as a long one.
        spec: of the model.
        options: of the run.

    Raises:
        ResourceError: not even one worker fits.
    """
    duration_s, chunk_s = _lengths_s(declared_s, options)
    machine = this_machine()
    free_bytes = machine.available_bytes + kept_bytes()
    gpus = 0 if options.device == "cpu" else machine.gpus
    machine = machine.model_copy(update={"available_bytes": free_bytes, "gpus": gpus})
    demand = _demand(spec, options, chunk_s, gpu=machine.gpus > 0)
    sizing = size_run(
        machine,
        most_chunks(duration_s, chunk_s),
        demand,
        workers=_number_or_none(options.workers),
        threads_per_worker=_number_or_none(options.threads_per_worker),
        memory_per_worker_bytes=options.memory_per_worker_bytes,
        batch_size=_number_or_none(options.batch_size),
    )
    return Share(sizing.halved(memory_kills()), demand, machine)


def sizing_of_run(declared_s: float | None, spec: ModelSpec, options: RunOptions) -> Sizing:
    """What a run takes of the machine, which is said in its log; see `share_of`.

    Raises:
        ResourceError: not even one worker fits.
        ClusterError: it is to run on a cluster that cannot be used.
    """
    if options.runner == "dask":
        lengths_s = _lengths_s(declared_s, options)
        demand = _demand(spec, options, lengths_s[1], gpu=options.device == "cuda")
        return sizing_on_cluster(demand, *lengths_s, options)
    sizing, demand, machine = share_of(declared_s, spec, options)
    logger = get_run_logger()
    for note in sizing.notes:
        logger.warning(note)
    if kills := memory_kills():
        logger.warning(
            translated(
                "Its process was killed %d time(s), as when memory ends: with less of it now"
            ),
            kills,
        )
    logger.info(
        translated("%d worker(s) x %d thread(s) on %d core(s); batches of %d windows"),
        sizing.workers,
        sizing.threads_per_worker,
        machine.cores,
        sizing.batch_size,
    )
    logger.info(
        translated("Memory: %.2f GB for each worker, %.2f GB of weights once, of %.1f GB free"),
        sizing.memory_per_worker_bytes / 1e9,
        demand.shared_bytes / 1e9,
        machine.available_bytes / 1e9,
    )
    return sizing


def _lengths_s(declared_s: float | None, options: RunOptions) -> tuple[float, float]:
    """Seconds of the accelerated audio, and of a chunk of it."""
    duration_s = (declared_s or _LONG_S) / options.tempo
    return duration_s, min(60.0 * options.chunk_minutes, duration_s)


def _demand(spec: ModelSpec, options: RunOptions, chunk_s: float, *, gpu: bool) -> Demand:
    batched = options.decoding == "batched"
    return memory_demand(
        spec.dims,
        chunk_s,
        max(options.best_of, options.beams),
        int8=batched and options.precision in ("auto", "int8"),
        batched=batched,
        gpu=gpu,
    )


def _number_or_none(value: Auto | int) -> int | None:
    return None if value == "auto" else value
