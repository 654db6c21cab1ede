"""Who sends a request: a program with a key, or somebody who logged in."""

import secrets
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from longscribe.web.keys import find_key
from longscribe.web.logins import COOKIE, find_session
from longscribe.web.problems import Problem
from longscribe.web.services import Services, services_of
from longscribe.web.tables import Key, Session, User
from longscribe.wording.catalog import translated

CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_CHALLENGE: Final = {"www-authenticate": "Bearer"}


@dataclass(frozen=True)
class Caller:
    """Somebody who may come in.

    Attributes:
        user: whose recordings they are.
        key: that a program showed; None in a browser.
        session: of a browser; None with a key.
    """

    user: User
    key: Key | None = None
    session: Session | None = None

    def may(self, scope: str) -> bool:
        """Whether one of `keys.SCOPES` is theirs; a login has all that its user has."""
        if self.key is None:
            return scope != "admin" or self.user.is_admin
        return scope in self.key.scopes

    @property
    def sees_all(self) -> bool:
        """Whether everybody's recordings are theirs to see: those with a key of scope admin."""
        return self.key is not None and self.user.is_admin and self.may("admin")


def find_caller(request: Request) -> Caller | None:
    """Whoever sends a request; None where nobody says so.

    Raises:
        Problem: a key or cookie that opens nothing (401), or a form without its token (403).
    """
    services = services_of(request)
    secret = _key_of(request)
    if secret is not None:
        with services.database.begin() as db:
            found = find_key(db, secret)
        if found is None:
            raise Problem(
                401,
                translated("This key is unknown, expired or revoked."),
                code="invalid_api_key",
                headers=_CHALLENGE,
            )
        return Caller(found[1], key=found[0])
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    with services.database.begin() as db:
        opened = find_session(db, cookie)
    if opened is None:
        return None
    session, user = opened
    if request.method not in _SAFE:
        sent = request.headers.get(CSRF_HEADER, "")
        if not sent and not request.state.csrf_in_form:
            raise _no_token()
        if sent and not secrets.compare_digest(sent.encode(), session.csrf_token.encode()):
            raise _no_token()
    return Caller(user, session=session)


def check_csrf(caller: Caller, token: object) -> None:
    """Refuse a form of a browser's without its token; for routes made with `with_form`.

    Raises:
        Problem: 403.
    """
    if caller.session is None:
        return
    sent = token.encode() if isinstance(token, str) else b""
    if not secrets.compare_digest(sent, caller.session.csrf_token.encode()):
        raise _no_token()


def any_caller(request: Request) -> Caller:
    """Whoever sends a request.

    Raises:
        Problem: 401, nobody says so.
    """
    request.state.csrf_in_form = False
    return _somebody(find_caller(request))


def form_caller(request: Request) -> Caller:
    """As `any_caller`, where the token may be in the form: the route calls `check_csrf`."""
    request.state.csrf_in_form = True
    return _somebody(find_caller(request))


def may_transcribe(caller: Annotated[Caller, Depends(any_caller)]) -> Caller:
    """Who may bring recordings."""
    return _with_scope(caller, "transcribe")


def may_read(caller: Annotated[Caller, Depends(any_caller)]) -> Caller:
    """Who may read transcripts."""
    return _with_scope(caller, "read")


def may_administer(caller: Annotated[Caller, Depends(any_caller)]) -> Caller:
    """Who may administer."""
    return _with_scope(caller, "admin")


AnyCaller = Annotated[Caller, Depends(any_caller)]
FormCaller = Annotated[Caller, Depends(form_caller)]
Transcriber = Annotated[Caller, Depends(may_transcribe)]
Reader = Annotated[Caller, Depends(may_read)]
Admin = Annotated[Caller, Depends(may_administer)]
WithServices = Annotated[Services, Depends(services_of)]


def _with_scope(caller: Caller, scope: str) -> Caller:
    if not caller.may(scope):
        sentence = translated("This needs a key with the scope {scope}.").format(scope=scope)
        raise Problem(403, sentence, code="missing_scope")
    return caller


def _somebody(caller: Caller | None) -> Caller:
    if caller is None:
        sentence = translated("Send a key: Authorization: Bearer ls-..., or log in.")
        raise Problem(401, sentence, code="missing_api_key", headers=_CHALLENGE)
    return caller


def _no_token() -> Problem:
    sentence = translated("This form is not from this page, or too old: load the page again.")
    return Problem(403, sentence, code="csrf")


def _key_of(request: Request) -> str | None:
    authorization = request.headers.get("authorization", "")
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    return request.headers.get("x-api-key")
