"""Which worker a run is with.

Prefect's worker says so by a label, some requests after it has claimed a run. One that ends between
the two leaves a run that is Pending for ever and that nobody knows. So ours says it with the claim:
in the message of the state Pending, which one worker alone can set.
"""

from typing import Any, Final

from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Pending

_PREFIX: Final = "Worker: "  # no sentence: the same in all languages
_LABEL: Final = "prefect.worker.name"


def claim(name: str) -> State[Any]:
    """The state by which a worker of this name claims a run."""
    return Pending(message=f"{_PREFIX}{name}")


def claimed_by(run: FlowRun) -> str | None:
    """The name of the worker that a run is with, or was with last; None where none was."""
    message = (run.state.message if run.state else None) or ""
    # The label may still be that of an earlier worker.
    if run.state_type == StateType.PENDING and message.startswith(_PREFIX):
        return message.removeprefix(_PREFIX)
    name = run.labels.get(_LABEL)
    return name if isinstance(name, str) else None
