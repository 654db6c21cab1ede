"""Automations against a real server: made once, changed where they differ, taken away."""

import json
from collections.abc import Iterator

import pytest
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import Automation, AutomationCore

from longscribe.deployments.automations import apply_automations

NAMES = {f"Longscribe: recording {end}" for end in ("completed", "partial", "failed", "crashed")}


def ours() -> dict[str, Automation]:
    with get_client(sync_client=True) as client:
        return {name: found for name in NAMES for found in client.read_automations_by_name(name)}


@pytest.fixture
def _taken_away(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.delenv("LONGSCRIBE_NOTIFY_WEBHOOK", raising=False)
    apply_automations()
    assert not ours()


# apprise/utils/pgp.py asks for it when an e-mail address is read.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
@pytest.mark.usefixtures("_taken_away")
@pytest.mark.parametrize("address", ["https://example.org/hook?key=1", "mailtos://a:b@example.org"])
def test_twice_is_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_automations()
    assert not ours()
    monkeypatch.setenv("LONGSCRIBE_NOTIFY_WEBHOOK", address)
    apply_automations()
    first = ours()
    assert set(first) == NAMES
    apply_automations()
    assert ours() == first  # with their identifiers and times of change


@pytest.mark.usefixtures("_taken_away")
def test_changed_by_hand_is_put_right_but_stays_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LONGSCRIBE_NOTIFY_WEBHOOK", "https://example.org/hook")
    apply_automations()
    name = "Longscribe: recording failed"
    changed = ours()[name]
    with get_client(sync_client=True) as client:
        client.update_automation(
            changed.id,
            AutomationCore.model_validate(
                {
                    **changed.model_dump(exclude={"id", "owner_resource"}),
                    "enabled": False,
                    "description": "mine",
                }
            ),
        )
    apply_automations()
    assert ours()[name].enabled is False
    assert ours()[name].description != "mine"


@pytest.mark.usefixtures("_taken_away")
def test_address_is_kept_as_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_NOTIFY_WEBHOOK", "https://example.org/secret-path")
    apply_automations()
    with get_client(sync_client=True) as client:
        documents = client.request("POST", "/block_documents/filter", json={}).json()
        automations = client.request("POST", "/automations/filter", json={}).json()
    assert "secret-path" not in json.dumps(documents) + json.dumps(automations)
