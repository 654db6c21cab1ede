"""Whether the application is well."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import text

from longscribe.web.callers import WithServices, find_caller
from longscribe.web.pages import page

router = APIRouter(tags=["state"])


@router.get("/health")
def health() -> dict[str, str]:
    """Answers when the application does; asks for no key."""
    return {"status": "ok"}


@router.get("/reference", include_in_schema=False)
def reference(request: Request) -> HTMLResponse:
    """All calls as a page; FastAPI's own page takes its script from another network."""
    calls = [
        (method.upper(), path, call.get("summary", ""), call.get("description", ""))
        for path, methods in request.app.openapi()["paths"].items()
        for method, call in methods.items()
    ]
    return page(request, "reference.html", find_caller(request), calls=calls)


@router.get("/ready")
def ready(services: WithServices) -> JSONResponse:
    """Whether the database and the Prefect server answer too; 503 where one does not."""
    with services.database.begin() as db:
        db.execute(text("SELECT 1"))
    there = services.backend.is_there()
    return JSONResponse({"engine": "ok" if there else "away"}, 200 if there else 503)
