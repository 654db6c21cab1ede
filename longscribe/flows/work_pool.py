"""`python -m longscribe.flows.work_pool`: the work pool and its queues, made or updated."""

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists

WORK_POOL = "longscribe"
# The first is served first. Clips have a worker of their own, which looks more often.
QUEUES = ("inbox", "clips", "short", "default")

# By the worker's own Python, which it names in its environment. A command that is said here also
# spares each run a process of Prefect's that imports all of it to find out where the code is.
_COMMAND = "sh -c 'exec \"${LONGSCRIBE_PYTHON:-python}\" -P -m longscribe.deployments.flow_process'"

# What a run may change about the process that carries it out: nothing. Prefect's own template lets
# whoever may start a run name the command and the environment.
_JOB_TEMPLATE = {
    "job_configuration": {"stream_output": True, "command": _COMMAND},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}


def prepare_work_pool() -> None:
    """Make the pool and its queues; those that are there keep their limits."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(
                WorkPoolCreate(name=WORK_POOL, type="process", base_job_template=_JOB_TEMPLATE)
            )
        except ObjectAlreadyExists:
            client.update_work_pool(WORK_POOL, WorkPoolUpdate(base_job_template=_JOB_TEMPLATE))
        present = {queue.name: queue for queue in client.read_work_queues(WORK_POOL)}
        for priority, name in enumerate(QUEUES, start=1):
            queue = present.get(name) or client.create_work_queue(name, work_pool_name=WORK_POOL)
            client.update_work_queue(queue.id, priority=priority)


if __name__ == "__main__":
    prepare_work_pool()
