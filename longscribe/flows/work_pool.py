"""`python -m longscribe.flows.work_pool`: the work pool and its queues, made or updated."""

import os
from typing import Final, NamedTuple

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from longscribe.errors import ServerError
from longscribe.wording.catalog import translated

WORK_POOL = "longscribe"


class Queue(NamedTuple):
    """A queue of the pool.

    Attributes:
        name: as workers and requests name it.
        holds: what belongs there, as the UI shows it.
        for_recordings: a worker that is told no queues takes of it.
    """

    name: str
    holds: str
    for_recordings: bool = True


# The first is served first: of what waits, a worker takes nothing while one above it has a run.
QUEUES: Final = (
    Queue("inbox", "Sweeps of the inbox, by a worker of their own", for_recordings=False),
    Queue("clips", "By a worker of their own, which looks more often", for_recordings=False),
    Queue("urgent", "Before all other recordings"),
    Queue("short", "Short recordings, which need not wait behind long ones"),
    Queue("default", "Recordings"),
    Queue("background", "When nothing else waits"),
)
FOR_RECORDINGS: Final = tuple(queue.name for queue in QUEUES if queue.for_recordings)

# By the worker's own Python, which it names in its environment. A command that is said here also
# spares each run a process of Prefect's that imports all of it to find out where the code is.
_COMMAND = "sh -c 'exec \"${LONGSCRIBE_PYTHON:-python}\" -P -m longscribe.deployments.flow_process'"

# What a run may change about the process that carries it out: nothing. Prefect's own template lets
# whoever may start a run name the command and the environment.
_JOB_TEMPLATE = {
    "job_configuration": {"stream_output": True, "command": _COMMAND},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}


def work_pool_name() -> str:
    """The pool of the deployments: LONGSCRIBE_POOL where it has one of its own, ours otherwise."""
    return os.environ.get("LONGSCRIBE_POOL", "").strip() or WORK_POOL


def prepare_work_pool() -> None:
    """Make the pool and its queues; those that are there keep their limits.

    Another pool than ours, of Kubernetes or Docker, is there already, with a template of its own.

    Raises:
        ServerError: it is not.
    """
    name = work_pool_name()
    with get_client(sync_client=True) as client:
        if name == WORK_POOL:
            _prepare_ours(client)
        try:
            present = {queue.name: queue for queue in client.read_work_queues(name)}
        except ObjectNotFound:
            raise ServerError(
                translated(
                    "LONGSCRIBE_POOL: the server has no work pool {name!r}; make it with prefect "
                    "work-pool create."
                ).format(name=name)
            ) from None
        for priority, wanted in enumerate(QUEUES, start=1):
            queue = present.get(wanted.name) or client.create_work_queue(
                wanted.name, work_pool_name=name
            )
            client.update_work_queue(queue.id, priority=priority, description=wanted.holds)


def _prepare_ours(client: SyncPrefectClient) -> None:
    try:
        client.create_work_pool(
            WorkPoolCreate(name=WORK_POOL, type="process", base_job_template=_JOB_TEMPLATE)
        )
    except ObjectAlreadyExists:
        client.update_work_pool(WORK_POOL, WorkPoolUpdate(base_job_template=_JOB_TEMPLATE))


if __name__ == "__main__":
    prepare_work_pool()
