"""Who may come in: keys, logins, sessions, forms."""

import time
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.web.keys import KeyLimits, revoke_key
from longscribe.web.logins import COOKIE
from longscribe.web.tables import Key, Session
from longscribe.web.users import add_user, end_sessions, user_named
from tests.longscribe.web.conftest import PASSWORD, csrf_token
from tests.longscribe.web.fake_backend import FakeBackend
from tests.sounds import wav_bytes

Keys = Callable[..., dict[str, str]]
FILE = {"file": ("talk.wav", wav_bytes(), "audio/wav")}


def test_a_login_opens_and_a_logout_closes(
    client: TestClient, logged_in: Callable[[str], str]
) -> None:
    assert client.get("/", headers={"accept": "text/html"}).url.path == "/login"
    token = logged_in("ana")
    page = client.get("/", headers={"accept": "text/html"})
    assert page.url.path == "/"
    assert csrf_token(page.text) == token
    cookie = client.cookies[COOKIE]
    out = client.post("/logout", data={"csrf_token": token})
    assert out.url.path == "/login"
    client.cookies.set(COOKIE, cookie)  # a cookie that was stolen before
    assert client.get("/jobs").status_code == 401


def test_the_cookie_is_out_of_reach(client: TestClient, application: FastAPI) -> None:
    with application.state.services.database.begin() as db:
        add_user(db, "ana", PASSWORD)
    form = {"name": "ana", "password": PASSWORD}
    for url, is_secure in (("http://testserver", False), ("https://testserver", True)):
        answer = client.post(f"{url}/login", data=form, follow_redirects=False)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert ("secure" in cookie) == is_secure
    outside = client.post("/login", data=form | {"next": "//evil.example/"}, follow_redirects=False)
    assert outside.headers["location"] == "/"
    elsewhere = {"origin": "https://evil.example"}
    assert client.post("/login", data=form, headers=elsewhere).status_code == 403


def test_forms_need_their_token(
    client: TestClient, logged_in: Callable[[str], str], backend: FakeBackend
) -> None:
    token = logged_in("ana")
    assert client.post("/jobs", files=FILE).status_code == 403
    assert client.post("/jobs", files=FILE, headers={"x-csrf-token": "guess"}).status_code == 403
    assert backend.started == {}
    assert client.post("/jobs", files=FILE, headers={"x-csrf-token": token}).status_code == 201
    assert client.post("/logout", data={"csrf_token": "guess"}).status_code == 403
    assert client.get("/jobs").status_code == 200


def test_too_many_failures_close_the_door(
    client: TestClient, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application.state.services.database.begin() as db:
        add_user(db, "ana", PASSWORD)
    wrong = {"name": "ana", "password": "guess"}
    answers = [client.post("/login", data=wrong).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    right = {"name": "ana", "password": PASSWORD}
    refused = client.post("/login", data=right)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "900")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 901)
    assert client.post("/login", data=right).status_code == 200


def test_an_unknown_name_sounds_like_a_wrong_password(
    client: TestClient, application: FastAPI
) -> None:
    with application.state.services.database.begin() as db:
        add_user(db, "ana", PASSWORD)
        add_user(db, "program")
    texts = set()
    for name in ("ana", "nobody", "program"):
        answer = client.post("/login", data={"name": name, "password": "guess"})
        texts.add((answer.status_code, answer.text.replace(name, "")))
    assert len(texts) == 1


def test_keys_that_open_nothing_any_more(
    client: TestClient, application: FastAPI, key_of: Keys
) -> None:
    database = application.state.services.database
    expired, revoked, of_closed = key_of("a", days=-1.0), key_of("b"), key_of("c")
    with database.begin() as db:
        revoke_key(db, user_named(db, "b"), "key 0")
        user_named(db, "c").is_disabled = True
    for headers in (expired, revoked, of_closed, {"authorization": "Bearer ls-' OR 1=1 --"}):
        answer = client.get("/jobs", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
    assert client.get("/jobs", headers={"authorization": "Basic YTpi"}).status_code == 401
    assert client.get("/jobs", headers={"x-api-key": "ls-x"}).status_code == 401


def test_a_key_is_not_in_the_database(application: FastAPI, key_of: Keys) -> None:
    secret = key_of()["authorization"].removeprefix("Bearer ")
    with application.state.services.database.begin() as db:
        (key,) = db.query(Key).all()
    assert secret not in repr(vars(key))
    assert secret.startswith(key.beginning)


def test_sessions_end(
    client: TestClient, application: FastAPI, logged_in: Callable[[str], str]
) -> None:
    logged_in("ana")
    database = application.state.services.database
    with database.begin() as db:
        db.query(Session).update({"expires_at": time.time() - 1})
    assert client.get("/jobs").status_code == 401
    client.post("/login", data={"name": "ana", "password": PASSWORD})
    assert client.get("/jobs").status_code == 200
    with database.begin() as db:
        end_sessions(db, user_named(db, "ana"))
    assert client.get("/jobs").status_code == 401


def test_scopes(client: TestClient, key_of: Keys) -> None:
    reads, brings = key_of("ana", "read"), key_of("bob", "transcribe")
    assert client.post("/jobs", headers=reads, files=FILE).status_code == 403
    assert client.post("/v1/audio/transcriptions", headers=reads, files=FILE).status_code == 403
    job = client.post("/jobs", headers=brings, files=FILE)
    assert job.status_code == 201
    assert client.get(f"/jobs/{job.json()['id']}", headers=brings).status_code == 403


def test_nobody_sees_or_changes_what_is_anothers(client: TestClient, key_of: Keys) -> None:
    ana, bob, admin = key_of("ana"), key_of("bob"), key_of("root", "read", "admin")
    job = client.post("/jobs", headers=ana, files=FILE).json()["id"]
    for path in (f"/jobs/{job}", f"/jobs/{job}/transcript", f"/jobs/{job}/events"):
        assert client.get(path, headers=bob).status_code == 404
        assert client.get(path, headers=admin).status_code == 200
    assert client.post(f"/jobs/{job}/cancel", headers=bob).status_code == 404
    assert client.delete(f"/jobs/{job}", headers=bob).status_code == 404
    assert client.get("/jobs", headers=bob).json() == []
    assert client.delete(f"/jobs/{job}", headers=ana).status_code == 204
    assert client.get(f"/jobs/{job}", headers=ana).status_code == 404


def test_limits_of_a_key(client: TestClient, key_of: Keys) -> None:
    small = key_of("a", limits=KeyLimits(largest_bytes=1000))
    few = key_of("b", limits=KeyLimits(most_jobs=1))
    short = key_of("c", limits=KeyLimits(most_hours=1.5 / 3600))
    answers = [client.post("/jobs", headers=small, files=FILE)]
    for key in (few, short):
        assert client.post("/jobs", headers=key, files=FILE).status_code == 201
        answers.append(client.post("/jobs", headers=key, files=FILE))
    told = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert told == [
        (413, "file_too_large"),
        (429, "rate_limit_exceeded"),
        (429, "rate_limit_exceeded"),
    ]
