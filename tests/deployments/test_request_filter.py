"""Who comes in: browsers that show our own pages, programs, and nobody else's pages."""

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from longscribe.deployments.request_filter import RequestFilter
from tests.deployments.hostile import STOPPED_BY_THE_FILTER, Request


def answer_of(
    filter_: RequestFilter, url: str = "http://127.0.0.1:4200/api/x", **headers: str
) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(filter_)) as client:
            return await client.post(url, headers=headers, content=b"{}")

    return asyncio.run(ask())


def filter_(own_url: str = "http://127.0.0.1:4200", asks: bool = False) -> RequestFilter:
    return RequestFilter(PlainTextResponse("in"), own_url, asks)


@pytest.mark.parametrize("request_", STOPPED_BY_THE_FILTER, ids=lambda request: request.what)
def test_stopped(request_: Request) -> None:
    answer = answer_of(filter_(), **request_.headers)
    assert answer.status_code == request_.status
    assert request_.words in answer.json()["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4200/",
        "http://localhost:4200/",
        "http://[::1]:4200/",
        "http://192.0.2.7:4200/",
        "http://server:4200/api/health",  # as containers call it
    ],
)
def test_programs_and_own_pages_come_in(url: str) -> None:
    assert answer_of(filter_(), url).text == "in"
    assert answer_of(filter_(), url, origin=url.partition("/api")[0].rstrip("/")).text == "in"


def test_behind_a_proxy_the_own_name_counts() -> None:
    proxied = filter_("https://transcripts.example.org:8443")
    url = "http://transcripts.example.org/"  # as nginx passes it on, without the port
    assert answer_of(proxied, url).text == "in"
    assert answer_of(proxied, url, origin="https://transcripts.example.org:8443").text == "in"
    assert answer_of(proxied, url, origin="https://example.org").status_code == 403


def test_with_a_password_the_server_may_have_any_name() -> None:
    url = "http://machine.example.org:4200/"
    assert answer_of(filter_(), url).status_code == 403
    assert answer_of(filter_(asks=True), url).text == "in"
    assert answer_of(filter_(asks=True), url, origin="https://evil.example").status_code == 403
