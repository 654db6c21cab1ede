"""Uploads that go on after a lost connection, and those that should not be."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from longscribe.web.settings import WebSettings
from tests.longscribe.web.conftest import wav

SOUND = wav()


def named(name: str = "talk.wav") -> str:
    return f"filename {base64.b64encode(name.encode()).decode()}"


class Sender:
    def __init__(self, client: TestClient, token: str) -> None:
        self.client = client
        self.headers = {"tus-resumable": "1.0.0", "x-csrf-token": token}

    def begin(self, length: int | str = len(SOUND), metadata: str = named()) -> tuple[int, str]:
        headers = {"upload-length": str(length), "upload-metadata": metadata}
        answer = self.client.post("/uploads", headers=self.headers | headers)
        return answer.status_code, answer.headers.get("location", "")

    def send(self, address: str, offset: int, block: bytes) -> int:
        headers = {"content-type": "application/offset+octet-stream", "upload-offset": str(offset)}
        answer = self.client.patch(address, headers=self.headers | headers, content=block)
        return answer.status_code

    def offset(self, address: str) -> int:
        answer = self.client.head(address, headers=self.headers)
        return int(answer.headers["upload-offset"]) if answer.is_success else -answer.status_code


@pytest.fixture
def sender(client: TestClient, logged_in: Callable[..., str]) -> Sender:
    return Sender(client, logged_in())


def test_it_goes_on_where_it_broke_off(sender: Sender) -> None:
    _, address = sender.begin()
    assert sender.send(address, 0, SOUND[:1000]) == 204
    assert sender.offset(address) == 1000
    assert sender.send(address, 0, SOUND) == 409
    assert sender.send(address, 1000, SOUND[1000:]) == 204
    assert sender.offset(address) == len(SOUND)  # a recording by now
    assert sender.client.get("/jobs").json()[0]["title"] == "talk.wav"
    assert sender.send(address, len(SOUND), b"more") == 404


def test_complete_before_a_kill_becomes_a_recording(sender: Sender, settings: WebSettings) -> None:
    _, address = sender.begin()
    sender.send(address, 0, SOUND[:1000])
    (file,) = (settings.uploads / "resumable").glob("*/sound/*")
    file.write_bytes(SOUND)  # as the application leaves it that ends before it says so
    assert sender.offset(address) == len(SOUND)
    assert len(sender.client.get("/jobs").json()) == 1


def test_more_than_was_said_is_refused(sender: Sender) -> None:
    _, address = sender.begin(1000)
    assert sender.send(address, 0, SOUND) == 413
    assert sender.offset(address) == 0


def test_no_recording_is_gone_with_a_sentence(sender: Sender, settings: WebSettings) -> None:
    _, address = sender.begin(5, named("notes.wav"))
    assert sender.send(address, 0, b"hello") == 400
    assert sender.offset(address) == -404
    assert not list((settings.uploads / "resumable").iterdir())


@pytest.mark.parametrize(
    ("length", "metadata", "status"),
    [
        ("0", named(), 400),
        ("-1", named(), 400),
        ("x", named(), 400),
        (str(10**15), named(), 413),
        ("5", "filename ?", 400),
        ("5", "a" * 9000, 400),
        ("5", f"{named()},parameters {base64.b64encode(b'[1]').decode()}", 400),
        ("5", named("../../etc/passwd"), 201),
        ("5", "", 201),
    ],
)
def test_headers(
    sender: Sender, settings: WebSettings, length: str, metadata: str, status: int
) -> None:
    assert sender.begin(length, metadata)[0] == status
    inside = {path.parent.name for path in settings.uploads.rglob("*") if path.is_file()}
    assert all(Path(name).name == name for name in inside)
    assert not (settings.uploads.parent / "etc").exists()


def test_somebody_else_s_is_not_there(
    sender: Sender, client: TestClient, logged_in: Callable[..., str]
) -> None:
    _, address = sender.begin()
    client.cookies.clear()
    other = Sender(client, logged_in("ben"))
    assert other.offset(address) == -404
    assert other.send(address, 0, SOUND) == 404
    assert client.delete(address, headers=other.headers).status_code == 404


def test_nobody_and_forms_of_others_write_nothing(sender: Sender, settings: WebSettings) -> None:
    _, address = sender.begin()
    token = sender.headers.pop("x-csrf-token")
    assert sender.send(address, 0, SOUND) == 403
    assert sender.begin()[0] == 403
    sender.headers["x-csrf-token"] = token
    assert sender.offset(address) == 0
    sender.client.cookies.clear()
    assert sender.send(address, 0, SOUND) == 401


def test_given_up(sender: Sender) -> None:
    _, address = sender.begin()
    assert sender.client.delete(address, headers=sender.headers).status_code == 204
    assert sender.offset(address) == -404
    assert sender.client.post("/uploads", headers={}).status_code == 403
    del sender.headers["tus-resumable"]
    assert sender.begin()[0] == 412
