"""Where a run's chunks are transcribed: on this machine, or on a cluster."""

from longscribe.models.weights import ModelSpec
from longscribe.options import RunOptions
from longscribe.runtime.machine import Sizing
from longscribe.task_runner import SurvivingTaskRunner
from longscribe.tasks.chunk_runner import chunk_runner
from longscribe.tasks.cluster import cluster_runner


def runner_of_run(sizing: Sizing, spec: ModelSpec, options: RunOptions) -> SurvivingTaskRunner:
    """The task runner that a run asked for.

    Args:
        sizing: of the run.
        spec: of the model.
        options: of the run.
    """
    if options.runner == "dask":
        return cluster_runner(spec, options)
    return chunk_runner(sizing, spec, options.for_chunks, options.chunk_timeout_s)
