"""`python -m longscribe.deployments.automations`: what the server does by itself when a run ends.

LONGSCRIBE_NOTIFY_WEBHOOK switches notifications on: an http(s) address gets a JSON document posted
to it, any other is taken as an Apprise address (https://github.com/caronc/apprise/wiki), such as
`mailtos://user:password@example.org?to=me@example.org`. Without it they are taken away.
"""

import os
from datetime import timedelta
from uuid import UUID

import click
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.types import SecretDict
from pydantic import SecretStr

_SETTING = "LONGSCRIBE_NOTIFY_WEBHOOK"
_BLOCK = "longscribe-notify"
_FLOW = "transcribe"

# Automation's name: the states whose events set it off.
_ENDS = {
    "Longscribe: recording completed": ["Completed"],
    "Longscribe: recording partial": ["Partial"],
    "Longscribe: recording failed": ["Failed", "TimedOut"],
    "Longscribe: recording crashed": ["Crashed"],
}
_SUBJECT = "{{ flow_run.name }}: {{ flow_run.state.name }}"
_BODY = (
    "Recording {{ flow_run.name }} ended {{ flow_run.state.name }}"
    "{% if flow_run.state.message %}: {{ flow_run.state.message }}{% endif %}\n"
    "{{ flow_run|ui_url }}"
)


def apply_automations() -> None:
    """Make, update or take away the automations, as the setting says."""
    address = os.environ.get(_SETTING, "").strip()
    with get_client(sync_client=True) as client:
        if not address:
            for name in _ENDS:
                _delete(client, name)
            return
        block_id = _save_block(address)
        for name, states in _ENDS.items():
            put_automation(client, _when_a_run_ends(name, states, block_id))


def _when_a_run_ends(name: str, states: list[str], block_id: UUID) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=f"Sends a message; {_SETTING} says where to.",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{state}" for state in states},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": "flow", "prefect.resource.name": _FLOW}
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[SendNotification(block_document_id=block_id, subject=_SUBJECT, body=_BODY)],
    )


def _save_block(address: str) -> UUID:
    """Prefect's own notification block, with the address where Prefect keeps secrets encrypted."""
    block: Block
    if address.startswith(("http://", "https://")):
        block = CustomWebhookNotificationBlock(
            name="Longscribe",
            url="{{address}}",
            # "text" alone is what Slack, Mattermost and Teams show; the others are for programs.
            json_data={
                "text": "{{subject}}\n{{body}}",
                "subject": "{{subject}}",
                "body": "{{body}}",
            },
            headers=None,
            cookies=None,
            secrets=SecretDict({"address": address}),
        )
    else:
        # Whatever its name: the one of Prefect's blocks that takes every Apprise address.
        block = SlackWebhook(url=SecretStr(address))
    saved = block.save(_BLOCK, overwrite=True)
    assert isinstance(saved, UUID)
    return saved


def put_automation(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    """Make the automation, or change it where it differs; on or off stays as people have set it."""
    present = client.read_automations_by_name(wanted.name)
    if not present:
        client.create_automation(wanted)
        return
    for automation in present:
        wanted.enabled = automation.enabled
        if _content(automation) != _content(wanted):
            client.update_automation(automation.id, wanted)


def _delete(client: SyncPrefectClient, name: str) -> None:
    for automation in client.read_automations_by_name(name):
        client.delete_automation(automation.id)


def _content(automation: AutomationCore) -> object:
    """What one automation says, as JSON, without what the server adds to it."""
    return automation.model_dump(
        mode="json", include={"name", "description", "enabled", "trigger", "actions"}
    )


@click.command()
def main() -> None:
    """Switch notifications on or off, as LONGSCRIBE_NOTIFY_WEBHOOK says."""
    apply_automations()


if __name__ == "__main__":
    main()
