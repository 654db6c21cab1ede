"""The web application with a backend of the tests' own, and users with keys."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.web.application import create_application
from longscribe.web.keys import add_key
from longscribe.web.settings import WebSettings
from longscribe.web.users import add_user, find_user
from tests.longscribe.web.fake_backend import FakeBackend
from tests.sounds import wav_bytes

PASSWORD = "correct horse battery"
wav = wav_bytes


@pytest.fixture
def settings(tmp_path: Path) -> WebSettings:
    return WebSettings(
        database_url=f"sqlite:///{tmp_path / 'web.sqlite'}",
        uploads=tmp_path / "uploads",
        transcripts=tmp_path / "transcripts",
        model="demo",
        url="http://testserver",
    )


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def application(
    request: pytest.FixtureRequest, settings: WebSettings, backend: FakeBackend
) -> FastAPI:
    """One that waits less for what does not come, where the test is marked `impatient`."""
    if request.node.get_closest_marker("impatient") is not None:
        settings = settings.model_copy(update={"idle_s": 0.3})
    return create_application(settings, backend)


@pytest.fixture
def client(application: FastAPI) -> Iterator[TestClient]:
    """Nobody yet: `key_of` or `logged_in` makes it somebody."""
    with TestClient(application) as client:
        yield client


@pytest.fixture
def key_of(application: FastAPI) -> Callable[..., dict[str, str]]:
    """Makes a user with a key; the headers that show it."""

    def make(name: str = "ana", *scopes: str, **more: object) -> dict[str, str]:
        with application.state.services.database.begin() as db:
            user = find_user(db, name) or add_user(db, name, is_admin="admin" in scopes)
            number = len(scopes) + len(more)
            secret = add_key(db, user, f"key {number}", scopes or ("transcribe", "read"), **more)
        return {"authorization": f"Bearer {secret}"}

    return make


@pytest.fixture
def logged_in(application: FastAPI, client: TestClient) -> Callable[[str], str]:
    """Makes a user and logs the client in as them; the CSRF token of the session."""

    def log_in(name: str = "ana") -> str:
        with application.state.services.database.begin() as db:
            add_user(db, name, PASSWORD)
        answer = client.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return csrf_token(answer.text)

    return log_in


def csrf_token(page: str) -> str:
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


@pytest.fixture
def live(application: FastAPI) -> Iterator[str]:
    """The address of the application behind a real server, for clients that want one."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
