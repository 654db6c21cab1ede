"""Hostile requests to the web application, each really sent, and what it got."""

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.web.settings import WebSettings
from longscribe.web.tables import Delivery
from tests.deployments.hostile_web import FORM, TO_THE_WEB_APPLICATION, WebRequest, form
from tests.eventually import eventually
from tests.longscribe.web.fake_backend import FakeBackend

Keys = Callable[..., dict[str, str]]


class Target:
    """The application, with a job of Ana's in it."""

    def __init__(
        self, client: TestClient, application: FastAPI, keys: Keys, cookie: dict[str, str]
    ) -> None:
        self.client = client
        self.who = {
            "nobody": {},
            "ana": keys("ana"),
            "reader": keys("reader", "read"),
            "bob": keys("bob"),
            "browser": cookie,
        }
        answer = client.post("/jobs", headers=self.who["ana"] | FORM, content=form("Mine.wav"))
        self.job = str(answer.json()["id"])
        with application.state.services.database.begin() as db:
            delivery = Delivery(recording_id=self.job, url="http://x", body="{}", next_at=None)
            db.add(delivery)
            db.flush()
            self.delivery = delivery.id


@pytest.fixture
def target(
    client: TestClient, application: FastAPI, key_of: Keys, logged_in: Callable[[str], str]
) -> Target:
    logged_in("eve")
    (cookie,) = client.cookies.items()
    client.cookies.clear()
    return Target(client, application, key_of, {"cookie": "=".join(cookie)})


def test_each_gets_its_status_and_a_sentence(target: Target, backend: FakeBackend) -> None:
    """All in one test: what one of them breaks, the next ones show."""
    wrong = []
    for request in TO_THE_WEB_APPLICATION:
        status, text = answer(target, request)
        if status != request.status or request.words not in text:
            wrong.append((request.what, status, text[:200]))
        assert "root:" not in text
        assert "Traceback" not in text
    assert not wrong, "\n".join(map(str, wrong))
    assert len(backend.started) == 1
    jobs = target.client.get("/jobs", headers=target.who["ana"]).json()
    assert [job["id"] for job in jobs] == [target.job]


def answer(target: Target, request: WebRequest) -> tuple[int, str]:
    path = request.path.format(anas=target.job, delivery=target.delivery)
    headers = {**target.who[request.who], **request.headers}
    got = target.client.request(request.method, path, headers=headers, content=request.body)
    return got.status_code, got.text


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../../etc/passwd", "passwd"),
        ("..\\\\..\\\\windows\\\\a.wav", "a.wav"),
        ("/etc/cron.d/x.wav", "x.wav"),
        ("<script>alert(1)</script>.wav", "script>.wav"),
        ("<img src=x onerror=alert(1)>.wav", "<img src=x onerror=alert(1)>.wav"),
        ("a\u202eb\u0007.wav", "a_b_.wav"),
        ("x" * 900 + ".wav", "x" * 200 + ".wav"),
        ("....", "recording"),
        ("", "recording"),
    ],
)
def test_names_are_names_and_nothing_else(
    client: TestClient,
    key_of: Keys,
    settings: WebSettings,
    name: str,
    title: str,
    logged_in: Callable[[str], str],
) -> None:
    key = key_of()
    made = client.post("/jobs", headers=key | FORM, content=form(name))
    assert made.status_code == 201, made.text
    files = [path for path in settings.uploads.rglob("*") if path.is_file()]
    assert files == [settings.uploads / made.json()["id"] / title]
    page = client.get("/", headers={"accept": "text/html"} | key).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.impatient
def test_an_upload_that_hangs_or_stops_leaves_nothing(
    live: str, key_of: Keys, settings: WebSettings, backend: FakeBackend
) -> None:
    key = key_of()["authorization"]
    head = (
        f"POST /jobs HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n"
        f"content-type: {FORM['content-type']}\r\ncontent-length: 1000000\r\n\r\n"
    )
    address = urlsplit(live)
    with socket.create_connection((str(address.hostname), address.port or 0)) as hangs:
        hangs.sendall(head.encode() + form()[:3000])
        hangs.settimeout(10)
        assert b" 408 " in hangs.recv(1000)
    with socket.create_connection((str(address.hostname), address.port or 0)) as stops:
        stops.sendall(head.encode() + form()[:3000])
    incoming = settings.uploads / "incoming"
    assert eventually(lambda: list(incoming.iterdir()), lambda left: left == []) == []
    assert backend.started == {}
    assert httpx.get(f"{live}/health").status_code == 200
