"""Which failures of a task are worth another try."""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from longscribe.errors import InputError


def worth_retrying(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Bad input stays bad: only the rest is tried again."""
    return not isinstance(state.result(raise_on_failure=False), InputError)
