"""Callbacks and hooks: signed, sent until they arrive, never to where they should not go."""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.web.application import create_application
from longscribe.web.callbacks import Deliverer, signature
from longscribe.web.follower import Follower
from longscribe.web.settings import WebSettings
from longscribe.web.tables import Delivery
from tests.eventually import eventually
from tests.longscribe.web.fake_backend import FakeBackend
from tests.sounds import wav_bytes

Keys = Callable[..., dict[str, str]]
FILE = {"file": ("talk.wav", wav_bytes(), "audio/wav")}


class Receiver:
    """The other end: answers with `status`, and keeps what came."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        self.status = 204
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/done"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_PRIVATE_HOSTS", "127.0.0.1")


def job_with(client: TestClient, key: dict[str, str], url: str, **more: str) -> dict[str, Any]:
    data = {"callback_url": url, **more}
    answer = client.post("/jobs", headers=key, files=FILE, data=data)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.usefixtures("allowed")
def test_a_message_arrives_and_its_signature_can_be_checked(
    client: TestClient, key_of: Keys, receiver: Receiver
) -> None:
    key = key_of()
    job = job_with(client, key, receiver.url, callback_with_text="true")
    ((headers, body),) = eventually(lambda: receiver.got[:1], bool)
    message = json.loads(body)
    assert (message["id"], message["state"], message["type"]) == (job["id"], "done", "job.done")
    assert message["text"].startswith("Good morning")
    secret = client.get("/callback-secret", headers=key).json()["secret"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    by = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(by, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    other = signature(secret, headers["webhook-id"], int(headers["webhook-timestamp"]) + 1, body)
    assert other != headers["webhook-signature"]  # nobody can make an old one new

    path = f"/jobs/{job['id']}/deliveries"
    (sent,) = eventually(
        lambda: client.get(path, headers=key).json(), lambda told: told[0]["delivered_at"]
    )
    assert (sent["status"], sent["attempts"], sent["next_at"]) == (204, 1, None)
    assert client.post(f"{path}/{sent['id']}", headers=key).status_code == 202
    eventually(lambda: len(receiver.got), lambda count: count == 2)
    assert receiver.got[1][0]["webhook-id"] == headers["webhook-id"]
    bob = key_of("bob")
    assert client.get(path, headers=bob).status_code == 404
    assert client.post(f"{path}/{sent['id']}", headers=bob).status_code == 404


@pytest.mark.usefixtures("allowed")
def test_what_did_not_arrive_is_sent_again_also_after_a_restart(
    application: FastAPI,
    settings: WebSettings,
    backend: FakeBackend,
    receiver: Receiver,
    key_of: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver.status = 503
    key = key_of()
    with TestClient(application) as client:
        job_with(client, key, receiver.url)
        eventually(lambda: len(receiver.got), bool)
    again = create_application(settings, backend).state.services
    with again.database.begin() as db:
        (delivery,) = db.query(Delivery).all()
        assert (delivery.attempts, delivery.status, delivery.delivered_at) == (1, 503, None)
        assert delivery.next_at is not None
        assert 3 < delivery.next_at - time.time() < 7
    receiver.status = 204
    deliverer = Deliverer(again)
    assert deliverer.send_due() == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10)
    wait(deliverer.send_due())
    deliverer.stop()
    with again.database.begin() as db:
        (delivery,) = db.query(Delivery).all()
        assert (delivery.attempts, delivery.status, delivery.next_at) == (2, 204, None)
    again.database.close()
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_never_to_private_addresses_or_where_a_redirect_leads(
    client: TestClient, key_of: Keys, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of()
    job = job_with(client, key, receiver.url)
    path = f"/jobs/{job['id']}/deliveries"
    (sent,) = eventually(
        lambda: client.get(path, headers=key).json(), lambda told: told and told[0]["attempts"]
    )
    assert receiver.got == []
    assert "not a public address" in sent["error"]
    for url in ("file:///etc/passwd", "ftp://x/", "http://", "http://a:b@example.org/", "nonsense"):
        data = {"callback_url": url}
        refused = client.post("/jobs", headers=key, files=FILE, data=data)
        assert (refused.status_code, refused.json()["field"]) == (400, "callback_url")


@pytest.mark.usefixtures("allowed")
def test_redirects_are_not_followed(client: TestClient, key_of: Keys, receiver: Receiver) -> None:
    receiver.status = 307
    key = key_of()
    job = job_with(client, key, receiver.url)
    path = f"/jobs/{job['id']}/deliveries"
    (sent,) = eventually(
        lambda: client.get(path, headers=key).json(), lambda told: told and told[0]["attempts"]
    )
    assert (sent["status"], sent["delivered_at"]) == (307, None)
    assert len(receiver.got) == 1


def test_a_hook_is_run_once_per_transcript(
    settings: WebSettings, backend: FakeBackend, tmp_path: Path, receiver: Receiver
) -> None:
    """Also with what would be a command in a title."""
    script = tmp_path / "hook.py"
    script.write_text(
        "import json, os, pathlib, sys\n"
        "message = json.load(sys.stdin)\n"
        "words = json.loads(pathlib.Path(os.environ['LONGSCRIBE_TRANSCRIPT_FILE']).read_text())\n"
        f"pathlib.Path({str(tmp_path)!r}, 'made').open('a').write("
        "message['title'] + '|' + words['text'].strip()[:12] + '\\n')\n"
    )
    hooks = {"hook_command": f"{sys.executable} {script}", "hook_url": receiver.url}
    application = create_application(settings.model_copy(update=hooks), backend)
    with TestClient(application) as client:
        from longscribe.web.keys import add_key
        from longscribe.web.users import add_user

        with application.state.services.database.begin() as db:
            secret = add_key(db, add_user(db, "ana"), "key")
        key = {"authorization": f"Bearer {secret}"}
        file = {"file": ("a.wav", wav_bytes(), "audio/wav")}
        data = {"title": "$(touch x); `id`"}
        job = client.post("/jobs", headers=key, files=file, data=data).json()
        made = eventually(lambda: (tmp_path / "made").exists(), bool)
        assert made
        eventually(lambda: len(receiver.got), bool)
        # Nobody but the operator sees the operator's hooks.
        assert client.get(f"/jobs/{job['id']}/deliveries", headers=key).json() == []
        Follower(application.state.services).look()
    assert (tmp_path / "made").read_text() == "$(touch x); `id`|Good morning\n"
