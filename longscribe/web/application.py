"""The web application: its routes, what is in front of them, and what runs beside them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longscribe.web.backend import Backend
from longscribe.web.callbacks import Deliverer
from longscribe.web.changes import Changes
from longscribe.web.database import Database
from longscribe.web.follower import Follower
from longscribe.web.library import change_routes
from longscribe.web.library import routes as library
from longscribe.web.library.indexer import Indexer
from longscribe.web.oidc import Provider
from longscribe.web.pages import STATIC, environment, page
from longscribe.web.problems import Problem, openai_error
from longscribe.web.routes import (
    account,
    asr,
    callbacks,
    jobs,
    login,
    openai_audio,
    planning,
    state,
    uploads,
)
from longscribe.web.services import Services
from longscribe.web.settings import WebSettings
from longscribe.wording.catalog import speaking, translated

# Scripts and styles are files of our own: nothing inline runs, and nothing comes from elsewhere.
_SECURITY: Final = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
}


def create_application(
    settings: WebSettings, backend: Backend, database: Database | None = None
) -> FastAPI:
    """The application, ready to be served.

    Args:
        settings: from the environment.
        backend: that carries jobs out.
        database: opened already; None opens that of the settings.

    Raises:
        ServerError: the database cannot be opened.
        OptionError: the settings lack something.
    """
    provider = Provider(settings) if settings.oidc_issuer else None
    database = database or Database(settings.database_url)
    services = Services(settings, database, backend, Changes(), provider)

    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[None]:
        settings.uploads.mkdir(parents=True, exist_ok=True)
        beside: tuple[Follower | Deliverer | Indexer, ...] = (
            Follower(services),
            Deliverer(services),
            Indexer(services),
        )
        for one in beside:
            one.start()
        try:
            yield
        finally:
            for one in beside:
                one.stop()
            services.database.close()

    application = FastAPI(
        title="Longscribe",
        description="Recordings to transcripts: jobs, OpenAI's audio API, the ASR dialect.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page takes its script from a CDN; ours is /api
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    application.state.services = services
    application.state.templates = environment()
    for routes in (
        state,
        login,
        account,
        jobs,
        callbacks,
        planning,
        openai_audio,
        asr,
        library,
        change_routes,
    ):
        application.include_router(routes.router)
    application.include_router(uploads.create_router(settings))
    application.mount("/static", StaticFiles(directory=STATIC), name="static")
    application.add_exception_handler(Problem, _on_problem)
    application.add_exception_handler(RequestValidationError, _on_invalid)
    application.add_exception_handler(HTTPException, _on_http_exception)
    application.add_exception_handler(OperationalError, _on_database_away)
    application.add_exception_handler(Exception, _on_mistake)
    application.add_middleware(uploads.OneAtATime, idle_s=settings.idle_s)
    application.add_middleware(InFront)
    return application


class InFront:
    """What every answer gets: headers that keep browsers safe, words in the reader's language.

    Args:
        app: that is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in _SECURITY.items()
                        if name.encode() not in present
                    ),
                ]
            await send(message)

        with speaking(_language(scope)) if _language(scope) else _nothing():
            await self._app(scope, receive, send_safely)


def _language(scope: Scope) -> str:
    """The first language that a browser asks for, or that a reader chose; empty for none."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "longscribe_language" and value:
            return value
    asked = headers.get(b"accept-language", b"").decode("latin-1")
    return asked.partition(",")[0].partition(";")[0].strip().removeprefix("*")


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def wants_page(request: Request) -> bool:
    """Whether a browser's reader is to see the answer."""
    return "text/html" in request.headers.get("accept", "")


def _answer(request: Request, problem: Problem) -> Response:
    if request.url.path.startswith("/v1/"):
        return JSONResponse(openai_error(problem), problem.status, headers=problem.headers)
    if wants_page(request):
        if problem.status == 401 and request.method == "GET":
            return RedirectResponse(f"/login?next={request.url.path}", 303)
        answer = page(request, "problem.html", status=problem.status, sentence=problem.sentence)
        answer.headers.update(problem.headers)
        return answer
    body = {"detail": problem.sentence, "field": problem.field, "code": problem.code}
    return JSONResponse(body, problem.status, headers=problem.headers)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or None
    sentence = translated("{field}: {message}").format(field=field, message=first["msg"])
    return _answer(request, Problem(422, sentence, field=field, code="invalid_value"))


async def _on_database_away(request: Request, error: Exception) -> Response:
    why = str(getattr(error, "orig", None) or error).partition("\n")[0]
    logging.getLogger(__name__).warning("the database does not answer: %s", why)
    sentence = translated("The database does not answer; try again in a moment.")
    problem = Problem(503, sentence, code="database_away", headers={"retry-after": "2"})
    return _answer(request, problem)


async def _on_mistake(request: Request, _error: Exception) -> Response:
    """Answer what went wrong here; Starlette raises it again, and the server logs it."""
    sentence = translated("Something went wrong here; the log of the application says what.")
    return _answer(request, Problem(500, sentence, code="internal_error"))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: translated("There is nothing here."),
        405: translated("This cannot be done here."),
    }
    sentence = sentences.get(error.status_code, str(error.detail))
    problem = Problem(error.status_code, sentence, headers=error.headers)
    return _answer(request, problem)
