"""Log in and out."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from longscribe.web.callers import (
    CSRF_FIELD,
    FormCaller,
    WithServices,
    check_csrf,
    find_caller,
)
from longscribe.web.logins import COOKIE, close_session, log_in, open_session
from longscribe.web.pages import is_from_here, page, with_session
from longscribe.web.problems import Problem
from longscribe.wording.catalog import translated

router = APIRouter(include_in_schema=False)


@router.get("/login")
def show_login(request: Request, next: str = "/") -> Response:
    """The form; whoever is logged in goes on."""
    if find_caller(request) is not None:
        return RedirectResponse(_inside(next), 303)
    return page(request, "login.html", next=_inside(next), name="", sentence="")


@router.post("/login")
def do_login(
    request: Request,
    services: WithServices,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=2000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Open a session, or the form again."""
    if not is_from_here(request):
        raise Problem(403, translated("This form is not from this page."), code="csrf")
    address = request.client.host if request.client is not None else ""
    with services.database.begin() as db:
        user = log_in(db, name, password, address)
        value = None
        if user is not None:
            value = open_session(db, user, services.settings.session_days)
    if value is None:
        sentence = translated("There is no such user with this password.")
        return page(
            request, "login.html", status=401, next=_inside(next), name=name, sentence=sentence
        )
    return with_session(request, _inside(next), value, services.settings.session_days)


@router.post("/logout")
def do_logout(
    request: Request,
    services: WithServices,
    caller: FormCaller,
    csrf_token: Annotated[str, Form(alias=CSRF_FIELD)] = "",
) -> Response:
    """End the session."""
    check_csrf(caller, csrf_token)
    with services.database.begin() as db:
        close_session(db, request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _inside(address: str) -> str:
    """An address of ours; the front page for any other, which a link could lead people to."""
    parts = urlsplit(address)
    is_ours = not parts.scheme and not parts.netloc and address.startswith("/")
    return address if is_ours and not address.startswith(("//", "/\\")) else "/"
