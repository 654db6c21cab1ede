"""Hostile requests, each really sent, and what it got; deployments/HOSTILE.md lists them."""

import base64
import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.deployments.hostile import (
    DOWNLOADS,
    DOWNLOADS_FROM,
    EVIL,
    REFUSED_BY_THE_SERVER,
    REFUSED_BY_THE_WORKER,
    STOPPED_BY_THE_FILTER,
    WITHOUT_THE_PASSWORD,
    Request,
)
from tests.deployments.hostile_list import DOCUMENT, document
from tests.deployments.served import PROJECT, Served
from tests.longscribe.servers import serving
from tests.recordings import SYNTHETIC

SECRET = "what nobody may read"


def test_the_list_is_what_is_sent() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def answer(served: Served, request: Request) -> tuple[int, str]:
    """What one request gets; it is sent as it is, also where no client would."""
    headers = dict(request.headers)
    if headers.get("authorization") == "{password}":
        login = ":".join(served.login or ()).encode()
        headers["authorization"] = f"Basic {base64.b64encode(login).decode()}"
    if request.body is not None and not isinstance(request.body, bytes):
        headers["content-type"] = "application/json"
    path = request.path.format(transcribe=served.deployment())
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    try:
        connection.request(request.method, path, request.content or None, headers)
        got = connection.getresponse()
        return got.status, got.read().decode(errors="replace")
    finally:
        connection.close()


def count(served: Served) -> int:
    """Runs of `transcribe`: those of the inbox come by their schedule."""
    return int(served.ask("flow_runs/count", flows={"name": {"any_": ["transcribe"]}}))


@pytest.mark.service
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "request_", [*REFUSED_BY_THE_SERVER, *STOPPED_BY_THE_FILTER], ids=lambda request: request.what
)
def test_refused_before_there_is_a_run(served: Served, request_: Request) -> None:
    before = count(served)
    status, text = answer(served, request_)
    assert (status, request_.words in text) == (request_.status, True), text[:1000]
    assert "root:" not in text
    assert count(served) == before


@pytest.mark.service
@pytest.mark.timeout(400)
@pytest.mark.parametrize("request_", WITHOUT_THE_PASSWORD, ids=lambda request: request.what)
def test_refused_without_the_password(exposed: Served, request_: Request) -> None:
    before = count(exposed)
    status, text = answer(exposed, request_)
    assert (status, request_.words in text) == (request_.status, True), text[:1000]
    assert count(exposed) == before


@pytest.mark.service
@pytest.mark.timeout(400)
def test_events_are_not_streamed_to_other_sites(served: Served) -> None:
    url = f"{served.api.replace('http', 'ws')}/events/out"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin=EVIL["origin"])
    assert refused.value.response.status_code == 403
    with connect(url, origin=served.url):
        pass


@pytest.fixture
def traps(served: Served) -> dict[str, str]:
    """What the worker's media folder and its neighbourhood hold; the places in the requests."""
    media, outside = served.folder / "media", served.folder
    (media / "sub").mkdir()
    (media / "a.wav").write_bytes(SYNTHETIC.read_bytes())
    (media / "playlist.wav").write_text("ffconcat version 1.0\nfile '../secret.wav'\n")
    (served.folder / "media-other").mkdir()
    for folder in (outside, served.folder / "media-other"):
        for name in ("secret.wav", "secret.txt", "secret.pt"):
            (folder / name).write_text(SECRET)
    (media / "link.wav").symlink_to(outside / "secret.wav")
    (media / "linked").symlink_to(outside)
    (media / "circle.wav").symlink_to(media / "circle.wav")
    return {"outside": str(outside), "roots": str(media)}


@pytest.fixture
def helping_hands(served: Served) -> Iterator[None]:
    """A second worker: forty runs that fail at once are forty starts of Python."""
    with (served.folder / "hands.log").open("wb") as log:
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "longscribe.deployments.worker",
                "--name",
                "hands",
                "--limit",
                "2",
            ],
            cwd=PROJECT,
            env=served.worker_environment(),
            stdout=log,
            stderr=log,
        )
        yield
        worker.terminate()
        worker.wait(timeout=60)


@pytest.mark.service
@pytest.mark.timeout(900)
def test_refused_by_the_worker(served: Served, traps: dict[str, str], helping_hands: None) -> None:
    before = sorted((served.folder / "transcripts").rglob("*"))
    runs: list[tuple[str, str, str]] = []
    with ExitStack() as servers:
        for run in REFUSED_BY_THE_WORKER:
            body = {"parameters": placed(run.parameters, traps), **run.body}
            runs.append((str(run.parameters), run.words, served.request_run(body)))
        for download in DOWNLOADS:
            url, _ = servers.enter_context(serving(download.answers, DOWNLOADS_FROM))
            body = {"parameters": {"recording": f"{url}/a.wav"}}
            runs.append((download.what, download.words, served.request_run(body)))
        wrong = []
        for what, words, run_id in runs:
            ended = served.end_of(run_id, within_s=600)
            message = ended["state"]["message"] or ""
            if ended["state_type"] != "FAILED" or words not in message:
                wrong.append((what, ended["state_name"], message[:300]))
    assert wrong == [], "\n".join(map(str, wrong))
    assert sorted((served.folder / "transcripts").rglob("*")) == before
    assert SECRET not in served.log.read_text() + (served.folder / "hands.log").read_text()


def placed(parameters: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    return {
        name: value.format(**places) if isinstance(value, str) and "{" in value else value
        for name, value in parameters.items()
    }


def test_more_than_twenty_five() -> None:
    assert document().count("\n| ") - 5 > 25
