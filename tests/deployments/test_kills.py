"""Each part of the service is killed amid uploads and jobs: nothing is lost, nothing done twice."""

import base64
import hashlib
import hmac
import http.server
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from longscribe.cache.folder import CACHE_VARIABLE
from longscribe.web.database import Database
from longscribe.web.keys import add_key
from longscribe.web.users import add_user
from tests.deployments.conftest import Note
from tests.deployments.parts import Parts
from tests.deployments.served import wait_for
from tests.postgresql import IS_INSTALLED
from tests.recordings import beginning
from tests.sounds import write_sound

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (IS_INSTALLED and shutil.which("redis-server")),
        reason="PostgreSQL and Redis are not installed",
    ),
]

KILLED = ("server", "worker", "web", "database", "redis")
UPLOADS = 3  # by tus, slowly, while parts are killed
PART_BYTES = 20_000
# By chunks that are short, in arithmetic that nothing has to be compiled for.
OPTIONS = {"decoding": "sequential", "chunk_minutes": "0.5"}
ENDED = ("done", "partial", "failed", "cancelled")


class Receiver:
    """A callback's other end: refuses the first of each message, and keeps what came."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.refused: set[str] = set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                identifier = headers["webhook-id"]
                is_first = identifier not in receiver.refused
                receiver.refused.add(identifier)
                if not is_first:
                    receiver.got.append((headers, body))
                self.send_response(500 if is_first else 204)
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
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("parts")
    parts = Parts(
        folder,
        LONGSCRIBE_PRIVATE_HOSTS="127.0.0.1/32",
        **{CACHE_VARIABLE: str(folder / "cache")},
    )
    try:
        parts.start()
        yield parts
    finally:
        parts.stop()


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(f"v1,{made}", headers["webhook-signature"])


def patiently(ask: Callable[[], httpx.Response], *wanted: int) -> httpx.Response:
    """An answer, as a client gets it that tries again while a part of the service is away."""
    give_up_s = time.monotonic() + 300
    while True:
        try:
            answer = ask()
            if answer.status_code in wanted:
                return answer
            said = f"{answer.status_code} {answer.text[:300]}"
        except httpx.TransportError as error:
            said = repr(error)
        assert time.monotonic() < give_up_s, said
        time.sleep(0.5)


class Client:
    """Somebody with a key, who tries again."""

    def __init__(self, parts: Parts, key: str, receiver: Receiver) -> None:
        self._url = parts.web
        self._receiver = receiver
        self._headers = {"authorization": f"Bearer {key}"}
        self._pauses = threading.Event()

    def upload(self, sound: Path) -> str:
        """Bring a recording by tus, a part at a time; its job."""
        size = sound.stat().st_size
        metadata = {"filename": sound.name, "parameters": json.dumps(OPTIONS)}
        named = ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}"
            for name, value in metadata.items()
        )
        tus = {**self._headers, "tus-resumable": "1.0.0"}
        create = {**tus, "upload-length": str(size), "upload-metadata": named}
        made = patiently(lambda: httpx.post(f"{self._url}/uploads", headers=create), 201)
        url = httpx.URL(self._url).join(made.headers["location"])
        content, least = sound.read_bytes(), 0
        while True:
            told = patiently(lambda: httpx.head(url, headers=tus, timeout=30), 200)
            offset = int(told.headers["upload-offset"])
            assert offset >= least, "what was acknowledged is gone"
            if offset == size:
                break
            part = content[offset : offset + PART_BYTES]
            patch = {
                **tus,
                "upload-offset": str(offset),
                "content-type": "application/offset+octet-stream",
            }
            try:
                sent = httpx.patch(url, headers=patch, content=part, timeout=30)
                if sent.status_code == 204:
                    least = int(sent.headers["upload-offset"])
            except httpx.TransportError:
                pass
            self._pauses.wait(1.0)  # a slow connection
        return str(url).rpartition("/")[2]

    def job(self, sound: Path, key: str) -> str:
        """Bring a recording in one request, with a callback; its job."""
        url, headers = f"{self._url}/jobs", {**self._headers, "idempotency-key": key}
        data = {"callback_url": self._receiver.url, "callback_with_text": "1", **OPTIONS}

        def ask() -> httpx.Response:
            with sound.open("rb") as file:
                files = {"file": file}
                return httpx.post(url, headers=headers, files=files, data=data, timeout=60)

        return str(patiently(ask, 201).json()["id"])

    def hurry(self) -> None:
        """Send what is left at once."""
        self._pauses.set()

    def read(self, path: str) -> Any:
        """A JSON answer, when there is one."""
        ask = lambda: httpx.get(f"{self._url}{path}", headers=self._headers, timeout=30)  # noqa: E731
        return patiently(ask, 200).json()

    def state(self, job: str) -> str:
        return str(self.read(f"/jobs/{job}")["state"])


def sounds(folder: Path, count: int, duration_s: float) -> list[Path]:
    """Recordings that nobody has heard before."""
    loudness = np.random.default_rng().uniform(0.7, 1.0, count).astype(np.float32)
    speech = beginning(duration_s=duration_s)
    return [
        write_sound(folder / f"talk {number}.wav", speech * one)
        for number, one in enumerate(loudness)
    ]


def kept_chunks(folder: Path) -> dict[Path, int]:
    """Results of chunks, with the number of each file: one that was written anew has another."""
    results = (folder / "cache" / "results").rglob("[!.]*.json")
    return {path: path.stat().st_ino for path in results}


def test_each_part_killed_in_the_middle(
    parts: Parts, receiver: Receiver, tmp_path: Path, note: Note
) -> None:
    database = Database(parts.environment["LONGSCRIBE_WEB_DATABASE"])
    with database.begin() as db:
        user = add_user(db, "ana", None)
        secret = user.callback_secret
        key = add_key(db, user, "tests")
    database.close()
    client = Client(parts, key, receiver)
    new = sounds(tmp_path, UPLOADS + len(KILLED), 60.0)
    (tmp_path / "long").mkdir()
    long = sounds(tmp_path / "long", 1, 240.0)[0]

    started_s = time.monotonic()
    with ThreadPoolExecutor(UPLOADS + 2 * len(KILLED) + 2) as people:
        uploads = [people.submit(client.upload, sound) for sound in new[:UPLOADS]]
        jobs = [people.submit(client.job, long, "long")]
        wait_for(lambda: len(kept_chunks(parts.folder)) > 0, 200)
        before: dict[Path, int] = {}
        for number, name in enumerate(KILLED):
            job = new[UPLOADS + number]
            jobs.append(people.submit(client.job, job, name))
            # The same again at once, as a client whose first answer was lost.
            jobs.append(people.submit(client.job, job, name))
            time.sleep(1.0)
            before |= kept_chunks(parts.folder)
            parts.kill_and_restart(name)
            note(f"{name} killed after", f"{time.monotonic() - started_s:.0f} s")
        assert not all(upload.done() for upload in uploads)
        client.hurry()
        brought = {one.result() for one in (*uploads, *jobs)}
    assert len(brought) == UPLOADS + 1 + len(KILLED)

    wait_for(lambda: all(client.state(job) in ENDED for job in brought), 400)
    took_s = time.monotonic() - started_s
    assert Counter(client.state(job) for job in brought) == {"done": len(brought)}

    # No job twice: each has one run, and there are no others.
    runs = [client.read(f"/jobs/{job}")["flow_run_id"] for job in brought]
    found = httpx.post(f"{parts.api}/flow_runs/filter", json={}, timeout=60).json()
    assert Counter(run["id"] for run in found) == Counter(runs)
    assert len(client.read("/jobs?limit=100")) == len(brought)

    # No finished chunk was done again.
    after = kept_chunks(parts.folder)
    assert before
    assert {path: after.get(path) for path in before} == before

    # Each callback came, in one message that only the application can have signed.
    callers = brought - {upload.result() for upload in uploads}
    wait_for(lambda: {body["id"] for body in told(receiver)} >= callers, 120)
    assert all(is_signed(headers, body, secret) for headers, body in receiver.got)
    messages = {(body["id"], headers["webhook-id"]) for headers, body in parsed(receiver)}
    assert Counter(job for job, _ in messages) == dict.fromkeys(callers, 1)
    assert all(body["state"] == "done" and body["text"] for body in told(receiver))
    note("five parts killed", f"{len(brought)} jobs, {len(before)} chunks kept, {took_s:.0f} s")


def parsed(receiver: Receiver) -> list[tuple[dict[str, str], dict[str, Any]]]:
    return [(headers, json.loads(body)) for headers, body in list(receiver.got)]


def told(receiver: Receiver) -> list[dict[str, Any]]:
    return [body for _, body in parsed(receiver)]
