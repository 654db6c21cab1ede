"""Logins by an OpenID Connect provider: a small one of the tests' own."""

import http.server
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.errors import OptionError
from longscribe.web.application import create_application
from longscribe.web.settings import WebSettings
from longscribe.web.users import add_user, find_user
from tests.longscribe.web.fake_backend import FakeBackend

pytest.importorskip("authlib")

CLIENT, SECRET = "longscribe", "what the provider knows us by"


class Provider:
    """Lets everybody in as `claims` say, with a token that `key` signs."""

    def __init__(self) -> None:
        from joserfc.jwk import RSAKey

        self.key = self.shown = RSAKey.generate_key(2048, {"kid": "one"})
        self.other = RSAKey.generate_key(2048, {"kid": "one"})
        self.claims: dict[str, Any] = {"sub": "4711", "preferred_username": "ana"}
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = {name: one for name, (one, *_) in parse_qs(parts.query).items()}
                if parts.path == "/authorize":
                    code = secrets.token_urlsafe(8)
                    provider.codes[code] = asked
                    self.send_response(302)
                    back = urlencode({"code": code, "state": asked["state"]})
                    self.send_header("location", f"{asked['redirect_uri']}?{back}")
                    self.end_headers()
                elif parts.path == "/keys":
                    self.answer({"keys": [provider.shown.as_dict(private=False)]})
                else:
                    assert parts.path == "/.well-known/openid-configuration"
                    self.answer(provider.metadata())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                asked = {name: one for name, (one, *_) in parse_qs(body).items()}
                begun = provider.codes.pop(asked["code"], None)
                if begun is None or "code_verifier" not in asked:
                    self.answer({"error": "invalid_grant"}, 400)
                    return
                token = provider.token(begun["nonce"])
                self.answer({"access_token": "x", "token_type": "Bearer", "id_token": token})

            def answer(self, content: Any, status: int = 200) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self, nonce: str) -> str:
        from joserfc import jwt

        now = round(time.time())
        always = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": nonce}
        return str(jwt.encode({"alg": "RS256", "kid": "one"}, always | self.claims, self.key))


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.key, running.claims = running.shown, {"sub": "4711", "preferred_username": "ana"}
    return running


@pytest.fixture
def settings(settings: WebSettings, provider: Provider) -> WebSettings:
    return settings.model_copy(
        update={
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_name": "the house's <login>",
        }
    )


def at_the_provider(client: TestClient, next: str = "/") -> str:
    """Go there, and be sent back: to this path."""
    there = client.get("/login/oidc", params={"next": next}, follow_redirects=False)
    assert there.status_code == 302, there.text
    back = httpx.get(there.headers["location"])
    parts = urlsplit(back.headers["location"])
    return f"{parts.path}?{parts.query}"


def come_back(client: TestClient, path: str) -> httpx.Response:
    return client.get(path, follow_redirects=False, headers={"accept": "text/html"})


def test_who_comes_from_there_is_somebody_here(
    client: TestClient, application: FastAPI, provider: Provider
) -> None:
    assert "the house&#39;s &lt;login&gt;" in client.get("/login").text
    back = come_back(client, at_the_provider(client, "/?q=ação"))
    assert (back.status_code, back.headers["location"]) == (303, "/?q=a%C3%A7%C3%A3o")
    assert ">ana<" in client.get("/account").text
    client.cookies.clear()
    provider.claims |= {"preferred_username": "ana.maria"}  # the same person
    assert come_back(client, at_the_provider(client)).status_code == 303
    with application.state.services.database.begin() as db:
        assert find_user(db, "ana.maria") is None
        assert find_user(db, "ana").password_hash is None


def test_a_name_that_somebody_has_is_not_taken_over(
    client: TestClient, application: FastAPI
) -> None:
    with application.state.services.database.begin() as db:
        add_user(db, "ana", "correct horse battery", is_admin=True)
    assert come_back(client, at_the_provider(client)).status_code == 303
    assert ">ana-2<" in client.get("/account").text


def test_who_is_shut_out_stays_out(
    client: TestClient, application: FastAPI, settings: WebSettings, backend: FakeBackend
) -> None:
    assert come_back(client, at_the_provider(client)).status_code == 303
    with application.state.services.database.begin() as db:
        find_user(db, "ana").is_disabled = True
    client.cookies.clear()
    assert come_back(client, at_the_provider(client)).status_code == 403
    none_new = settings.model_copy(update={"oidc_new_users": False})
    with TestClient(create_application(none_new, backend)) as strict:
        assert come_back(strict, at_the_provider(strict)).status_code == 403


@pytest.mark.parametrize(
    "forge",
    [
        lambda provider: setattr(provider, "key", provider.other),
        lambda provider: provider.claims.update(nonce="another"),
        lambda provider: provider.claims.update(aud="another application"),
        lambda provider: provider.claims.update(iss="https://evil.example"),
        lambda provider: provider.claims.update(exp=1),
    ],
    ids=["key", "nonce", "audience", "issuer", "expired"],
)
def test_a_forged_token_opens_nothing(
    client: TestClient, provider: Provider, forge: Callable[[Provider], None]
) -> None:
    forge(provider)
    back = come_back(client, at_the_provider(client))
    assert back.status_code == 400, back.text
    assert client.get("/account", follow_redirects=False).status_code == 401


def test_a_way_back_is_one_browser_s_and_for_once(client: TestClient, application: FastAPI) -> None:
    path = at_the_provider(client)
    with TestClient(application) as other:  # who was sent a link
        assert come_back(other, path).status_code == 400
    path = at_the_provider(client)
    assert come_back(client, path).status_code == 303
    client.cookies.clear()
    assert come_back(client, path).status_code == 400
    assert come_back(client, "/login/oidc/callback?error=access_denied").status_code == 400
    assert come_back(client, "/login/oidc/callback").status_code == 400


def test_a_provider_that_is_away_is_said_so(settings: WebSettings, backend: FakeBackend) -> None:
    away = settings.model_copy(update={"oidc_issuer": "http://127.0.0.1:1"})
    with TestClient(create_application(away, backend)) as client:
        answer = client.get("/login/oidc", follow_redirects=False)
    assert answer.status_code == 502
    assert "http://127.0.0.1:1" in answer.json()["detail"]


def test_without_it_there_is_no_such_page(settings: WebSettings, backend: FakeBackend) -> None:
    without = settings.model_copy(update={"oidc_issuer": ""})
    with TestClient(create_application(without, backend)) as client:
        assert client.get("/login/oidc").status_code == 404
        assert "/login/oidc" not in client.get("/login").text
    with pytest.raises(OptionError, match="LONGSCRIBE_OIDC_CLIENT_ID"):
        create_application(settings.model_copy(update={"oidc_client_id": ""}), backend)
