"""Pages: templates with the reader's language, who is logged in, and the token of their forms."""

from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.datastructures import URL

from longscribe.transcript import format_time
from longscribe.web.callers import Caller
from longscribe.web.logins import COOKIE
from longscribe.wording.catalog import translated, ui_language

_FOLDER: Final = Path(__file__).parent
STATIC: Final = _FOLDER / "static"


def environment() -> Environment:
    """The templates: everything in them is escaped, and undefined names are mistakes."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"_": translated, "language": ui_language, "format_time": format_time}
    return made


def page(
    request: Request, template: str, caller: Caller | None = None, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page of a template.

    Args:
        request: that it answers.
        template: its name in `templates`.
        caller: who is logged in; None for nobody.
        status: of HTTP.
        values: for the template.
    """
    session = caller.session if caller is not None else None
    text = request.app.state.templates.get_template(template).render(
        user=caller.user if caller is not None else None,
        csrf_token=session.csrf_token if session is not None else "",
        path=request.url.path,
        **values,
    )
    return HTMLResponse(text, status, headers={"cache-control": "no-store"})


def is_from_here(request: Request) -> bool:
    """Whether a browser sent a request from one of our own pages; other programs name none."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return URL(origin).netloc in (request.headers.get("host", ""), URL(_own(request)).netloc)


def is_secure(request: Request) -> bool:
    """Whether the browser's side of the connection is encrypted."""
    return request.url.scheme == "https" or _own(request).startswith("https://")


def _own(request: Request) -> str:
    return str(request.app.state.services.settings.url)


def with_session(
    request: Request, place: str, secret: str, session_days: float
) -> RedirectResponse:
    """The way to a page, with the cookie of a session that was opened.

    Args:
        request: that opened it.
        place: the page's path.
        secret: of the session.
        session_days: how long the browser keeps it.
    """
    answer = RedirectResponse(place, 303)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=round(session_days * 86_400),
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    return answer
