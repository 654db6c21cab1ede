"""nginx.conf as it is shipped, in front of a server with a password."""

import base64
from collections.abc import Iterator

import pytest

from tests.deployments.hostile import BY_A_CALLER, Request
from tests.deployments.proxy import CALLER, IS_INSTALLED, NAME, Proxy
from tests.deployments.served import Served

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not IS_INSTALLED, reason="nginx is not installed"),
]


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.fixture(scope="module")
def proxy(exposed: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with Proxy(tmp_path_factory.mktemp("nginx"), exposed) as proxy:
        yield proxy


def test_plain_http_is_sent_to_tls(proxy: Proxy) -> None:
    answer = proxy.ask(80, Request("", 301, method="GET", path="/api/health"))
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{NAME}/api/health")


def test_with_the_password_over_tls(proxy: Proxy, exposed: Served) -> None:
    assert exposed.login is not None
    request = Request("", 200, "", {}, path="/api/flow_runs/count")
    origin = f"https://{NAME}"  # as the UI's own page sends it
    json = {"content-type": "application/json", "origin": origin}
    assert proxy.ask(443, request, **json).status_code == 401
    login = basic(*exposed.login)
    assert proxy.ask(443, request, **json, authorization=login).status_code == 200
    json["origin"] = "https://evil.example"
    assert proxy.ask(443, request, **json, authorization=login).status_code == 403


@pytest.mark.parametrize("request_", BY_A_CALLER, ids=lambda request: request.what)
def test_callers_may_no_more_than_that(proxy: Proxy, exposed: Served, request_: Request) -> None:
    before = exposed.ask("flow_runs/count", flows={"name": {"any_": ["transcribe"]}})
    path = request_.path.format(transcribe=exposed.deployment())
    headers = {} if request_.what == "no password" else {"authorization": basic(*CALLER)}
    answer = proxy.ask(8443, request_._replace(path=path), **headers)
    assert answer.status_code == request_.status, answer.text
    assert exposed.ask("flow_runs/count", flows={"name": {"any_": ["transcribe"]}}) == before


def test_callers_start_a_run_and_see_it(proxy: Proxy, exposed: Served) -> None:
    json = {"content-type": "application/json", "authorization": basic(*CALLER)}
    named = Request("", 200, method="GET", path="/api/deployments/name/transcribe/transcribe")
    identifier = proxy.ask(8443, named, **json).json()["id"]
    body = {"parameters": {"recording": "nothing.wav"}}
    start = Request("", 201, "", body, path=f"/api/deployments/{identifier}/create_flow_run")
    answer = proxy.ask(8443, start, **json)
    assert answer.status_code == 201, answer.text
    seen = Request("", 200, method="GET", path=f"/api/flow_runs/{answer.json()['id']}")
    assert proxy.ask(8443, seen, **json).json()["parameters"]["recording"] == "nothing.wav"
    for kind in ("logs", "artifacts"):
        found = proxy.ask(8443, Request("", 200, "", {}, path=f"/api/{kind}/filter"), **json)
        assert found.status_code == 200, found.text
