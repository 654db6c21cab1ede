from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.settings.models.flows import FlowsSettings

from longscribe.deployments.orphaned_runs import NAME, create, silent_runs


def test_the_window_is_wide_enough_for_prefect_s_own_frequency() -> None:
    default = FlowsSettings.model_fields["heartbeat_frequency"].default
    assert silent_runs().trigger.within.total_seconds() >= 3 * default


def test_it_is_made_once_and_kept_up_to_date() -> None:
    create()
    create()
    with get_client(sync_client=True) as client:
        answer = client.request("POST", "/automations/filter", json={})
    assert [one["name"] for one in answer.json()] == [NAME]
    made = Automation.read(name=NAME)
    assert made.trigger.expect == {"prefect.flow-run.*"}
    assert made.enabled
