"""`python -m longscribe.deployments.orphaned_runs`: runs that fall silent are marked Crashed.

A killed flow stays Running for ever on a server of one's own: nothing reads the heartbeats that
flows send (https://docs.prefect.io/v3/advanced/detect-zombie-flows). This automation does. Run it
once for each server; again, it brings the automation up to date.
"""

from datetime import timedelta
from typing import Any, Final

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

NAME: Final = "Longscribe: silent runs are Crashed"

SILENT: Final = "The run sent no heartbeat any more: its process or machine is gone."

# Prefect's own default; a deployment may set PREFECT_FLOWS_HEARTBEAT_FREQUENCY to 30 s at least.
_SLOWEST_HEARTBEAT_S: Final = 180

# A server that restarts, or a machine that swaps, swallows a heartbeat or two of a healthy run.
_MISSED_HEARTBEATS: Final = 5


def silent_runs() -> Automation:
    """The automation: no event of a run for so long after a heartbeat means that it is dead."""
    return Automation(
        name=NAME,
        description="A run that sent heartbeats and then nothing is marked Crashed.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            # Any event of the run counts: also its end, after which nothing is expected.
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=_SLOWEST_HEARTBEAT_S * _MISSED_HEARTBEATS),
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                state=StateType.CRASHED,
                force=False,
                message=SILENT,
            )
        ],
    )


def create() -> None:
    """Make the automation on the configured server, or bring it up to date."""
    wanted = silent_runs()
    try:
        known: Any = Automation.read(name=NAME)  # typed as if it were asynchronous
    except (ValueError, ObjectNotFound):
        wanted.create()
        return
    wanted.id = known.id
    wanted.update()


if __name__ == "__main__":
    create()
