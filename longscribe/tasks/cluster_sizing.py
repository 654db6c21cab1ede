"""Which workers of a Dask cluster may do a run's chunks, and how many windows they take at once."""

from prefect.logging import get_run_logger

from longscribe.audio.chunks import most_chunks
from longscribe.errors import ClusterError
from longscribe.options import DecodingOptions, RunOptions
from longscribe.runtime.machine import Demand, Machine, Sizing, size_run
from longscribe.task_runner.cluster import Cluster, DaskWorker
from longscribe.tasks.cluster_site import Facts, facts
from longscribe.wording.catalog import translated


def check_cluster(options: RunOptions) -> None:
    """Refuse a cluster that cannot be used, before anything slow starts.

    Raises:
        ClusterError: Dask is not installed, the scheduler does not answer, no worker is usable.
    """
    with Cluster(options.address) as cluster:
        _usable(cluster, options.for_chunks)


def sizing_on_cluster(
    demand: Demand, duration_s: float, chunk_s: float, options: RunOptions
) -> Sizing:
    """What a run takes of a cluster: each of its workers whole.

    Args:
        demand: what the model wants of memory.
        duration_s: of the accelerated audio.
        chunk_s: of a chunk.
        options: of the run.

    Raises:
        ClusterError: none of its workers is usable.
        ResourceError: the model does not fit into the smallest.
    """
    with Cluster(options.address) as cluster:
        found = _usable(cluster, options.for_chunks)
    threads = min(worker.threads for worker in found)
    memory_bytes = min(worker.memory_bytes or about.memory_bytes for worker, about in found.items())
    gpus = min(about.gpus for about in found.values())
    one = size_run(
        Machine(cores=threads, available_bytes=memory_bytes, gpus=min(1, gpus)),
        most_chunks(duration_s, chunk_s),
        demand,
        workers=1,
        threads_per_worker=threads,
        batch_size=None if options.batch_size == "auto" else options.batch_size,
    )
    most = len(found) if options.workers == "auto" else min(len(found), options.workers)
    get_run_logger().info(
        translated("Dask cluster %s: %d worker(s) x %d thread(s); batches of %d windows"),
        options.address,
        most,
        threads,
        one.batch_size,
    )
    return one.model_copy(update={"workers": most, "threads_per_worker": threads})


def _usable(cluster: Cluster, options: DecodingOptions) -> dict[DaskWorker, Facts]:
    """The workers that may do a run's chunks.

    Raises:
        ClusterError: there are none.
    """
    own, wrong = facts(options), ""
    found: dict[DaskWorker, Facts] = {}
    for address, worker in cluster.workers().items():
        try:
            about = cluster.call(address, facts, options)
        except Exception as error:  # whatever its environment makes of the call
            wrong = f"{address}: {type(error).__name__}: {error}"
            continue
        if differs := difference(own, about):
            wrong = f"{address}: {differs}"
        else:
            found[worker] = about
    if found:
        return found
    if wrong:
        raise ClusterError(
            translated(
                "no Dask worker at {cluster} can be used ({wrong}); install there what is here: "
                "longscribe {version} with the same versions of its libraries."
            ).format(cluster=cluster.address, wrong=wrong, version=own.versions["longscribe"])
        )
    raise ClusterError(
        translated(
            "the Dask cluster at {cluster} has no worker; start some by `dask worker {cluster}`."
        ).format(cluster=cluster.address)
    )


def difference(own: Facts, other: Facts) -> str:
    """What of another process's versions is not as here, in words; empty where nothing."""
    differing = [
        f"{name} {other.versions.get(name)}, here {here}"
        for name, here in own.versions.items()
        if other.versions.get(name) != here
    ]
    if differing:
        return "; ".join(differing)
    if other.code != own.code:
        return translated("longscribe {version} with other code than here").format(
            version=own.versions["longscribe"]
        )
    return ""
