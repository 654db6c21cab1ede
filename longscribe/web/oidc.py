"""Logins by an OpenID Connect provider, as an option: Authlib does the protocol.

A browser is sent to the provider and comes back with a code; what it is about is kept here for some
minutes, and in the browser's cookie that it was this browser. Who somebody is says the provider's
identifier alone: a name that somebody has here already is never taken over.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from longscribe.errors import OptionError
from longscribe.web.problems import Problem
from longscribe.web.settings import WebSettings
from longscribe.web.tables import User
from longscribe.web.users import add_user, find_user
from longscribe.wording.catalog import translated

CALLBACK: Final = "/login/oidc/callback"
_COOKIE: Final = "longscribe_oidc"
_NAME: Final = "longscribe"
_WITHIN_S: Final = 600
_MOST_UNDER_WAY: Final = 10_000
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._@+-]+")


class _UnderWay:
    """Logins that were begun, as Authlib wants a cache; a restart means to begin again."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, str]] = {}

    async def get(self, key: str) -> str | None:
        expires_s, value = self._kept.get(key, (0.0, ""))
        return value if expires_s > time.monotonic() else None

    async def set(self, key: str, value: str, expires: int | None = None) -> None:
        now_s = time.monotonic()
        self._kept = {k: one for k, one in self._kept.items() if one[0] > now_s}
        if len(self._kept) >= _MOST_UNDER_WAY:
            raise Problem(503, translated("Too many logins are under way; try again later."))
        self._kept[key] = (now_s + _WITHIN_S, value)

    async def delete(self, key: str) -> None:
        self._kept.pop(key, None)


class Provider:
    """The provider of the settings.

    Args:
        settings: with its address, and what this application is called there.

    Raises:
        OptionError: something of it is missing, or Authlib.
    """

    def __init__(self, settings: WebSettings) -> None:
        if not settings.url or not settings.oidc_client_id:
            sentence = translated(
                "LONGSCRIBE_OIDC_ISSUER needs LONGSCRIBE_OIDC_CLIENT_ID and LONGSCRIBE_WEB_URL too."
            )
            raise OptionError(sentence)
        try:
            from authlib.integrations.starlette_client import OAuth
        except ImportError:
            sentence = translated("LONGSCRIBE_OIDC_ISSUER needs the extra {extra!r}; install it.")
            raise OptionError(sentence.format(extra="oidc")) from None
        registry = OAuth(cache=_UnderWay())
        issuer = settings.oidc_issuer.rstrip("/")
        self._client: Any = registry.register(
            _NAME,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret or None,
            server_metadata_url=f"{issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
        )
        self._settings = settings

    async def begin(self, request: Request) -> RedirectResponse:
        """The way to the provider.

        Raises:
            Problem: 502, it does not answer.
        """
        session: dict[str, Any] = {}
        request.scope["session"] = session
        try:
            answer: RedirectResponse = await self._client.authorize_redirect(
                request, f"{self._settings.url}{CALLBACK}"
            )
        except Problem:
            raise
        except Exception as error:  # of whichever HTTP library Authlib found
            raise self._away(error) from None
        (key,) = session
        answer.set_cookie(
            _COOKIE,
            key,
            max_age=_WITHIN_S,
            path=CALLBACK,
            httponly=True,
            samesite="lax",  # the provider's page leads here
            secure=self._settings.url.startswith("https://"),
        )
        return answer

    async def who(self, request: Request) -> Mapping[str, Any]:
        """What the provider says about who came back.

        Raises:
            Problem: 400, nobody who can be believed; 502, it does not answer.
        """
        from authlib.integrations.base_client.errors import OAuthError
        from authlib.oauth2.rfc6749.errors import OAuth2Error
        from joserfc.errors import JoseError

        begun = request.cookies.get(_COOKIE)
        request.scope["session"] = {begun: True} if begun else {}
        try:
            token = await self._client.authorize_access_token(request)
        except (OAuthError, OAuth2Error, JoseError):
            raise self._refused() from None
        except Exception as error:  # of whichever HTTP library Authlib found
            raise self._away(error) from None
        told = token.get("userinfo")  # from the signed token; None where there was none
        if not told or not told.get("sub"):
            raise self._refused()
        found: Mapping[str, Any] = told
        return found

    def user_of(self, db: Db, told: Mapping[str, Any]) -> User:
        """The user of what a provider says; a new one who comes for the first time.

        Raises:
            Problem: 403, they may not come in.
        """
        subject = f"{self._settings.oidc_issuer.rstrip('/')} {told['sub']}"
        user = db.scalar(select(User).where(User.subject == subject))
        if user is None and self._settings.oidc_new_users:
            user = add_user(db, _free_name(db, told))
            user.subject = subject
            db.flush()
        if user is None or user.is_disabled:
            sentence = translated("You have no account here; ask who runs this.")
            raise Problem(403, sentence, code="no_account")
        return user

    def _away(self, error: Exception) -> Problem:
        sentence = translated("The login page of {issuer} cannot be used: {why}.")
        why = (str(error) or type(error).__name__).rstrip(".")[:200]
        return Problem(
            502, sentence.format(issuer=self._settings.oidc_issuer, why=why), code="oidc_away"
        )

    def _refused(self) -> Problem:
        sentence = translated("This login was not finished here; begin again.")
        return Problem(400, sentence, code="oidc_refused")


def forget_begun(answer: RedirectResponse) -> None:
    """Take away the cookie of a login that is through."""
    answer.delete_cookie(_COOKIE, path=CALLBACK)


def _free_name(db: Db, told: Mapping[str, Any]) -> str:
    wanted = str(told.get("preferred_username") or told.get("email") or told["sub"])
    name = _NOT_IN_NAMES.sub("-", wanted).lstrip("._@+-")[:56] or "user"
    number, free = 1, name
    while find_user(db, free) is not None:
        number += 1
        free = f"{name}-{number}"
    return free
