"""The flow run that this process carries out, without asking the server for it.

`prefect.runtime.deployment` asks it, once, and fails while it is away.
"""

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext


def current_run() -> FlowRun | None:
    """The flow run as it was when it began; None outside a flow."""
    context = FlowRunContext.get()
    return context.flow_run if context else None


def is_deployment_s() -> bool:
    """Whether a deployment started it, and not the command or a call."""
    run = current_run()
    return bool(run and run.deployment_id)
