"""The process of the command's own server; test_server has the server that answers."""

from pathlib import Path

import pytest
from prefect.settings import Settings

from longscribe.flows.embedded_server import EmbeddedServer
from tests.eventually import eventually


def test_a_server_ends_when_it_is_stopped_and_may_be_stopped_twice() -> None:
    server = EmbeddedServer()
    process = server._process
    assert process.is_alive()
    server.stop()
    server.stop()
    assert not process.is_alive()


def test_a_server_that_dies_is_started_again_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("longscribe.flows.embedded_server._RESTART_AFTER_S", 0.01)
    # Takes what `serve` takes but for one, and so fails at once.
    monkeypatch.setattr("longscribe.flows.embedded_server.serve", slice)
    server = EmbeddedServer()
    may_start = eventually(lambda: server.may_start, lambda may: not may, within_s=60.0)
    server.stop()
    assert not may_start


def test_what_only_a_server_that_stays_does_is_left_out_unless_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Prefect's own settings read it: a name that it does not know would say nothing."""
    monkeypatch.setenv("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "true")
    monkeypatch.setattr("longscribe.flows.embedded_server.serve", slice)
    server = EmbeddedServer()
    server.stop()
    monkeypatch.chdir(tmp_path)
    for name, text in server._environment.items():
        monkeypatch.setenv(name, text)
    settings = Settings().server
    assert not settings.register_blocks_on_start
    assert not settings.memoize_block_auto_registration
    services = settings.services
    assert services.scheduler.enabled
    assert not services.late_runs.enabled
    assert not services.foreman.enabled
    assert not services.pause_expirations.enabled
    assert not services.repossessor.enabled
    assert not services.cancellation_cleanup.enabled
    assert services.task_run_recorder.enabled
    assert services.event_persister.enabled
    assert services.triggers.enabled
