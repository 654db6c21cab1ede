"""What was sent to callback URLs, and sending it again."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from longscribe.web.callbacks import deliveries_of, send_again
from longscribe.web.callers import Reader, Transcriber, WithServices
from longscribe.web.recordings import own_recording
from longscribe.web.tables import Delivery, User

router = APIRouter(tags=["callbacks"])


class Sent(BaseModel):
    """A message, and what became of it."""

    id: str = Field(description="As in the header webhook-id.")
    kind: str
    url: str
    attempts: int
    status: int | None = Field(description="Of the last answer; null where there was none.")
    error: str = Field(description="Why the last attempt failed; empty where it did not.")
    created_at: float
    delivered_at: float | None
    next_at: float | None = Field(description="When it is tried again; null when it is not.")


@router.get("/jobs/{job_id}/deliveries", response_model=list[Sent])
def index(services: WithServices, caller: Reader, job_id: str) -> list[Sent]:
    """The messages about a job; those of the operator's hooks are the operator's to see."""
    with services.database.begin() as db:
        own_recording(db, caller, job_id)
        return [
            _told(one)
            for one in deliveries_of(db, job_id)
            if one.kind == "callback" or caller.sees_all
        ]


@router.post("/jobs/{job_id}/deliveries/{delivery_id}", status_code=202, response_model=Sent)
def again(services: WithServices, caller: Transcriber, job_id: str, delivery_id: str) -> Sent:
    """Send one of them again."""
    with services.database.begin() as db:
        own_recording(db, caller, job_id)
        return _told(send_again(db, job_id, delivery_id))


@router.get("/callback-secret")
def secret(services: WithServices, caller: Transcriber) -> dict[str, str]:
    """What the messages about one's jobs are signed with."""
    with services.database.begin() as db:
        user = db.get(User, caller.user.id)
        return {"secret": user.callback_secret if user is not None else ""}


def _told(delivery: Delivery) -> Sent:
    return Sent(**{name: getattr(delivery, name) for name in Sent.model_fields})
