"""The page of one's account: keys are made, shown once and revoked; the password is changed."""

import re
from collections.abc import Callable

from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.web.logins import COOKIE
from tests.longscribe.web.conftest import PASSWORD, csrf_token

Keys = Callable[..., dict[str, str]]


def test_a_key_is_shown_once_and_revoked(
    client: TestClient, logged_in: Callable[[str], str]
) -> None:
    token = logged_in("ana")
    form = {"csrf_token": token, "name": "n8n <b>", "scopes": ["transcribe", "read"], "days": "30"}
    made = client.post("/account/keys", data=form)
    (secret,) = re.findall(r"<code>(ls-[\w-]{43})</code>", made.text)
    assert secret not in client.get("/account").text
    assert "n8n &lt;b&gt;" in made.text
    key = {"authorization": f"Bearer {secret}"}
    client.cookies.clear()
    assert client.get("/jobs", headers=key).status_code == 200
    # A key that leaked makes no others, and does not see what signs callbacks here.
    assert client.get("/account", headers=key).status_code == 403
    client.post("/login", data={"name": "ana", "password": PASSWORD})
    token = csrf_token(client.get("/account").text)
    client.post("/account/keys/revoke", data={"csrf_token": token, "name": "n8n <b>"})
    assert client.get("/jobs", headers=key).status_code == 401


def test_what_is_refused(client: TestClient, logged_in: Callable[[str], str]) -> None:
    token = logged_in("ana")
    form = {"csrf_token": token, "name": "a", "scopes": ["read"]}
    for changed, words in (
        ({"name": ""}, "80 characters"),
        ({"scopes": ["admin"]}, "is no admin"),
        ({"scopes": ["root"]}, "is no scope"),
        ({"days": "many"}, "number of days"),
        ({"days": "nan"}, "number of days"),
    ):
        answer = client.post("/account/keys", data=form | changed)
        assert (answer.status_code, words in answer.text) == (400, True), changed
    assert client.post("/account/keys", data=form | {"csrf_token": "x"}).status_code == 403
    assert client.post("/account/keys", data=form).status_code == 200
    assert "already" in client.post("/account/keys", data=form).text


def test_a_new_password_ends_other_sessions(
    client: TestClient, application: FastAPI, logged_in: Callable[[str], str]
) -> None:
    token = logged_in("ana")
    before = client.cookies[COOKIE]
    form = {"csrf_token": token, "old": "guess", "new": "another long one"}
    assert client.post("/account/password", data=form).status_code == 400
    short = client.post("/account/password", data=form | {"old": PASSWORD, "new": "short"})
    assert "characters" in short.text
    assert client.post("/account/password", data=form | {"old": PASSWORD}).status_code == 200
    assert client.cookies[COOKIE] != before
    assert client.get("/jobs").status_code == 200
    client.cookies.clear()
    client.cookies.set(COOKIE, before)
    assert client.get("/jobs").status_code == 401
