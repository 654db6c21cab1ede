"""The Prefect server that the web application's process speaks to."""

import base64

import httpx
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from longscribe.errors import ServerError
from longscribe.web import prefect_backend as backend_module
from longscribe.web.server import prefect_backend


def test_a_server_with_a_password_is_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=[])

    client = httpx.Client
    monkeypatch.setattr(
        backend_module.httpx,
        "Client",
        lambda **options: client(**options, transport=httpx.MockTransport(answer)),
    )
    server = {PREFECT_API_URL: "http://127.0.0.1:1/api", PREFECT_API_AUTH_STRING: "ana:secret"}
    with temporary_settings(server):
        prefect_backend().states(["6c2b6b33-5f83-4a41-8f0c-cf0a53d0d7d1"])
    login = base64.b64encode(b"ana:secret").decode()
    assert sent[0].headers["authorization"] == f"Basic {login}"


def test_without_a_server_it_says_what_is_missing() -> None:
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(ServerError):
        prefect_backend()
