"""Bad input ends a task or a flow as Failed with its one sentence, not with a traceback.

Prefect logs the whole traceback of an exception that leaves a task. A task that returns a Failed
state carrying the exception fails just the same, raises it in its caller, and logs one line.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect.states import Failed

from longscribe.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def refusing(function: Callable[P, R]) -> Callable[P, R]:
    """Turn an InputError of a task's or flow's function into the Failed state of its run."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            failed: Any = Failed(message=str(error), data=error)
            return failed  # type: ignore[no-any-return]  # Prefect takes a state for any result

    return wrapped
