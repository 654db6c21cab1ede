"""The page of one's own account: keys of programs, the password, what signs callbacks."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session as Db

from longscribe.errors import OptionError
from longscribe.web.callers import (
    CSRF_FIELD,
    AnyCaller,
    Caller,
    FormCaller,
    WithServices,
    check_csrf,
)
from longscribe.web.keys import SCOPES, add_key, key_state, keys_of, revoke_key
from longscribe.web.logins import log_in, open_session
from longscribe.web.pages import page, with_session
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.tables import User
from longscribe.web.users import end_sessions, set_password
from longscribe.wording.catalog import translated

router = APIRouter(prefix="/account", include_in_schema=False)
_MOST_KEYS = 100
Token = Annotated[str, Form(alias=CSRF_FIELD)]


@router.get("")
def show(request: Request, services: WithServices, caller: AnyCaller) -> Response:
    """The account of whoever is logged in."""
    _in_browser(caller)
    return _page(request, services, caller)


@router.post("/keys")
def make_key(
    request: Request,
    services: WithServices,
    caller: FormCaller,
    name: Annotated[str, Form(max_length=200)] = "",
    scopes: Annotated[list[str] | None, Form()] = None,
    days: Annotated[str, Form(max_length=10)] = "",
    csrf_token: Token = "",
) -> Response:
    """Make a key, and show it this once."""
    _in_browser(caller)
    check_csrf(caller, csrf_token)
    try:
        until_days = float(days) if days else None
    except ValueError:
        until_days = -1.0
    try:
        if until_days is not None and not 0 < until_days < 36_500:
            raise OptionError(translated("Give a number of days, or none for a key that stays."))
        with services.database.begin() as db:
            if len(keys_of(db, caller.user)) >= _MOST_KEYS:
                raise OptionError(translated("There are too many keys; revoke some."))
            secret = add_key(db, caller.user, name, scopes or (), until_days)
    except OptionError as error:
        return _page(request, services, caller, 400, sentence=str(error))
    return _page(request, services, caller, secret=secret)


@router.post("/keys/revoke")
def revoke(
    services: WithServices,
    caller: FormCaller,
    name: Annotated[str, Form(max_length=200)] = "",
    csrf_token: Token = "",
) -> Response:
    """End a key for good."""
    _in_browser(caller)
    check_csrf(caller, csrf_token)
    try:
        with services.database.begin() as db:
            revoke_key(db, caller.user, name)
    except OptionError as error:
        raise Problem(404, str(error), code="not_found") from None
    return RedirectResponse("/account", 303)


@router.post("/password")
def change_password(
    request: Request,
    services: WithServices,
    caller: FormCaller,
    old: Annotated[str, Form(max_length=2000)] = "",
    new: Annotated[str, Form(max_length=2000)] = "",
    csrf_token: Token = "",
) -> Response:
    """Change the password: all other sessions end."""
    _in_browser(caller)
    check_csrf(caller, csrf_token)
    address = request.client.host if request.client is not None else ""
    with services.database.begin() as db:
        known = log_in(db, caller.user.name, old, address) is not None
    if not known:
        sentence = translated("There is no such user with this password.")
        return _page(request, services, caller, 400, sentence=sentence)
    try:
        with services.database.begin() as db:
            value = _with_password(db, caller, new, services.settings.session_days)
    except OptionError as error:
        return _page(request, services, caller, 400, sentence=str(error))
    return with_session(request, "/account", value, services.settings.session_days)


def _with_password(db: Db, caller: Caller, password: str, days: float) -> str:
    """The cookie of the only session that is left."""
    user = db.get(User, caller.user.id)
    assert user is not None
    set_password(user, password)
    end_sessions(db, user)
    db.flush()
    return open_session(db, user, days)


def _page(
    request: Request, services: Services, caller: Caller, status: int = 200, **values: str
) -> Response:
    with services.database.begin() as db:
        keys = [
            (key.name, f"{key.beginning}...", ", ".join(key.scopes), key_state(key))
            for key in keys_of(db, caller.user)
        ]
    scopes = SCOPES if caller.user.is_admin else SCOPES[:-1]
    told = {"sentence": "", "secret": "", **values}
    return page(
        request,
        "account.html",
        caller,
        status,
        keys=keys,
        scopes=scopes,
        callback_secret=caller.user.callback_secret,
        **told,
    )


def _in_browser(caller: Caller) -> None:
    """Refuse keys: one that leaked must not make others."""
    if caller.session is None:
        sentence = translated("Log in for this; a key does not open it.")
        raise Problem(403, sentence, code="needs_login")
