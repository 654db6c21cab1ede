"""The library in the browser: people's recordings as pages."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from longscribe.web.callers import Reader, WithServices
from longscribe.web.pages import page
from longscribe.web.recordings import count_recordings, list_recordings

router = APIRouter(include_in_schema=False)
_PER_PAGE = 50


@router.get("/")
def show_library(request: Request, services: WithServices, caller: Reader) -> Response:
    """The caller's recordings, the latest first."""
    with services.database.begin() as db:
        recordings = list_recordings(db, caller, limit=_PER_PAGE)
        count = count_recordings(db, caller)
    return page(request, "library.html", caller, recordings=recordings, count=count)
