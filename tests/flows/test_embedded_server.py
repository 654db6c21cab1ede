"""The process of the command's own server; test_server has the server that answers."""

import pytest

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
