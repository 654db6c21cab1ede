"""Whether the application is well."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from longscribe.web.callers import WithServices

router = APIRouter(tags=["state"])


@router.get("/health")
def health() -> dict[str, str]:
    """Answers when the application does; asks for no key."""
    return {"status": "ok"}


@router.get("/ready")
def ready(services: WithServices) -> JSONResponse:
    """Whether the database and the Prefect server answer too; 503 where one does not."""
    with services.database.begin() as db:
        db.execute(text("SELECT 1"))
    there = services.backend.is_there()
    return JSONResponse({"engine": "ok" if there else "away"}, 200 if there else 503)
