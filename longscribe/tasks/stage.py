"""A stage of the chain as a Prefect task that refuses bad input with one sentence.

Prefect logs the whole traceback of an exception that leaves a task or a flow. One that returns a
Failed state fails just the same in the UI and logs one line; the caller still gets the exception.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed
from prefect.utilities.annotations import opaque

from longscribe.errors import InputError
from longscribe.monitoring.events import StageBegan, StageOver, tell
from longscribe.tasks.rows import rows_of_runs

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


def stage(name: str, run_name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a task run of its own whenever a flow calls it, if such have rows.

    Args:
        name: the task's name.
        run_name: template of its runs' names, filled with the parameters; the task's own name
            without, where Prefect would add three letters by chance.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        run: Callable[..., Any] = task(
            # The default policy would hash, and so serialize, every parameter of every stage.
            name=name,
            task_run_name=run_name or name,
            cache_policy=NO_CACHE,
        )(refusing(function))

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            tell(StageBegan(name))
            if rows_of_runs() == "recording":
                try:
                    return function(*args, **kwargs)
                finally:
                    tell(StageOver(name))
            # A stage's parameters are other stages' results as a whole: Prefect need not look for
            # any within them, which takes it seconds in a transcript of ten hours.
            whole: dict[str, Any] = {key: opaque(value) for key, value in kwargs.items()}
            try:
                outcome = run(*map(opaque, args), **whole)
            finally:
                tell(StageOver(name))
            if isinstance(outcome, State):
                outcome = outcome.result()  # raises the InputError
            result: R = outcome
            return result

        return call

    return decorate
