"""Runs of the pool that are only states: their flow is never called."""

from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from longscribe.flows.work_pool import WORK_POOL


@flow
def recording() -> None:
    """Never called."""


def pool_run(worker: str, state: State) -> UUID:
    """A run that a worker of this name has, or had, in a state."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(recording)
        deployment_id = client.create_deployment(
            flow_id, "states", work_pool_name=WORK_POOL, work_queue_name="default"
        )
        run = client.create_flow_run_from_deployment(deployment_id)
        client.update_flow_run_labels(run.id, {"prefect.worker.name": worker})
        client.set_flow_run_state(run.id, state, force=True)
    return run.id
