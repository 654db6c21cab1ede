"""Log in and out."""

from typing import Annotated, Final
from urllib.parse import quote, unquote, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from longscribe.web.callers import (
    CSRF_FIELD,
    FormCaller,
    WithServices,
    check_csrf,
    find_caller,
)
from longscribe.web.logins import COOKIE, close_session, log_in, open_session
from longscribe.web.oidc import CALLBACK, Provider, forget_begun
from longscribe.web.pages import is_from_here, page, with_session
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.wording.catalog import translated

router = APIRouter(include_in_schema=False)
_NEXT: Final = "longscribe_next"


@router.get("/login")
def show_login(request: Request, services: WithServices, next: str = "/") -> Response:
    """The form; whoever is logged in goes on."""
    if find_caller(request) is not None:
        return RedirectResponse(_inside(next), 303)
    return _form(request, services, next=_inside(next))


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
        return _form(request, services, _inside(next), 401, name, sentence)
    return with_session(request, _inside(next), value, services.settings.session_days)


@router.get("/login/oidc")
async def begin_oidc(request: Request, services: WithServices, next: str = "/") -> Response:
    """To the provider's own page, where there is one."""
    answer = await _provider(services).begin(request)
    answer.set_cookie(_NEXT, quote(_inside(next)), max_age=600, path=CALLBACK, httponly=True)
    return answer


@router.get(CALLBACK)
async def end_oidc(request: Request, services: WithServices) -> Response:
    """Back from there: open a session for who it is."""
    provider = _provider(services)
    told = await provider.who(request)
    days = services.settings.session_days

    def open_for_them() -> str:
        with services.database.begin() as db:
            return open_session(db, provider.user_of(db, told), days)

    value = await run_in_threadpool(open_for_them)
    next = unquote(request.cookies.get(_NEXT, "/"))
    answer = with_session(request, _inside(next), value, days)
    forget_begun(answer)
    answer.delete_cookie(_NEXT, path=CALLBACK)
    return answer


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


def _form(
    request: Request,
    services: Services,
    next: str,
    status: int = 200,
    name: str = "",
    sentence: str = "",
) -> Response:
    settings = services.settings
    provider = settings.oidc_name if settings.oidc_issuer else ""
    return page(
        request,
        "login.html",
        status=status,
        next=next,
        name=name,
        sentence=sentence,
        provider=provider,
    )


def _provider(services: Services) -> Provider:
    if services.provider is None:
        raise Problem(404, translated("There is nothing here."), code="not_found")
    return services.provider


def _inside(address: str) -> str:
    """An address of ours; the front page for any other, which a link could lead people to."""
    parts = urlsplit(address)
    is_ours = not parts.scheme and not parts.netloc and address.startswith("/")
    return address if is_ours and not address.startswith(("//", "/\\")) else "/"
