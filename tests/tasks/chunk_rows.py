"""Chunks' rows as the Prefect API has them."""

import operator
import time
from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import task_run

from tests.eventually import eventually


def rows() -> list[tuple[str, str, bool]]:
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(limit=200)
    # Tests of the pool and of crashed runs leave tasks of their own behind.
    ours = [run for run in runs if run.name.startswith("chunk ")]
    return [
        (run.name, str(run.state_name), run.state is not None and run.state.is_final())
        for run in ours
    ]


def states(label: str) -> list[str]:
    return sorted(state for name, state, _ in rows() if name == label)


def unfinished() -> list[str]:
    """Rows that stay so."""
    return eventually(lambda: [name for name, _, is_final in rows() if not is_final], operator.not_)


def wait_for_own_row() -> None:
    """In a worker: until the server knows of its task run; events are sent by a thread."""
    with get_client(sync_client=True) as client:
        for _ in range(200):
            with suppress(ObjectNotFound):
                client.read_task_run(UUID(task_run.id))
                return
            time.sleep(0.1)
