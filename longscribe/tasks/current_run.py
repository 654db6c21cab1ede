"""The flow run that this process carries out, without asking the server for it.

`prefect.runtime.deployment` asks it, once, and fails while it is away.
"""

from typing import Final

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

# How often its process was killed for its memory, as far as could be told; kept on the server.
MEMORY_KILLS_LABEL: Final = "longscribe.memory-kills"


def current_run() -> FlowRun | None:
    """The flow run as it was when it began; None outside a flow."""
    context = FlowRunContext.get()
    return context.flow_run if context else None


def is_deployment_s() -> bool:
    """Whether a deployment started it, and not the command or a call."""
    run = current_run()
    return bool(run and run.deployment_id)


def memory_kills() -> int:
    """How often the process of the run that this is was killed for its memory before."""
    run = current_run()
    kills = run.labels.get(MEMORY_KILLS_LABEL, 0) if run else 0
    return kills if isinstance(kills, int) else 0
