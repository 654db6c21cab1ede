"""What people change in their library; every form shows the token of its session."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import ValidationError

from longscribe.web.callers import (
    CSRF_FIELD,
    Caller,
    FormCaller,
    Transcriber,
    WithServices,
    check_csrf,
)
from longscribe.web.deletions import delete_recording
from longscribe.web.jobs import cancel_job
from longscribe.web.library.editing import Edits, restore, save_edits, speakers_of
from longscribe.web.library.people import share_by_name, unshare
from longscribe.web.library.search import retitle
from longscribe.web.pages import is_secure
from longscribe.web.problems import Problem
from longscribe.web.recordings import (
    current_transcript,
    latest_version,
    own_recording,
    set_tags,
)
from longscribe.web.services import Services
from longscribe.web.tables import Recording
from longscribe.wording.catalog import UI_LANGUAGES, translated

router = APIRouter(include_in_schema=False)
_LARGEST_EDITS_BYTES = 20_000_000


def with_token(
    caller: FormCaller, csrf_token: Annotated[str, Form(alias=CSRF_FIELD)] = ""
) -> Caller:
    """Whoever sends a form of ours.

    Raises:
        Problem: 403, it is not from one of our pages, or they may only read.
    """
    check_csrf(caller, csrf_token)
    if not caller.may("transcribe"):
        raise Problem(403, translated("This key may only read."), code="missing_scope")
    return caller


FormSender = Annotated[Caller, Depends(with_token)]


@router.post("/recordings/{recording_id}")
def rename(
    services: WithServices,
    caller: FormSender,
    recording_id: str,
    title: Annotated[str, Form(max_length=1000)] = "",
    tags: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Another title, other tags."""
    with services.database.begin() as db:
        recording = own_recording(db, caller, recording_id)
        recording.title = " ".join(title.split())[:300] or recording.title
        set_tags(db, recording, tags.split(","))
        retitle(db, recording)
    return _back(recording_id)


@router.post("/recordings/{recording_id}/versions")
async def save(
    request: Request, services: WithServices, caller: Transcriber, recording_id: str
) -> Response:
    """Corrections, as the transcript's page sends them in JSON."""
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > _LARGEST_EDITS_BYTES:
            raise Problem(413, translated("These are too many corrections."), code="too_large")
    try:
        edits = Edits.model_validate_json(bytes(body))
    except ValidationError as error:
        raise Problem(400, str(error.errors()[0]["msg"]), code="invalid_value") from None

    def keep() -> int:
        with services.database.begin() as db:
            recording = own_recording(db, caller, recording_id)
            return save_edits(db, caller, recording, edits).number

    return JSONResponse({"version": await run_in_threadpool(keep)}, 201)


@router.post("/recordings/{recording_id}/restore")
def bring_back(
    services: WithServices,
    caller: FormSender,
    recording_id: str,
    number: Annotated[int, Form(ge=0, le=10**6)],
) -> Response:
    """An older version becomes the latest."""
    with services.database.begin() as db:
        restore(db, caller, own_recording(db, caller, recording_id), number)
    return _back(recording_id)


@router.post("/recordings/{recording_id}/speakers")
async def rename_speakers(
    request: Request, services: WithServices, caller: FormSender, recording_id: str
) -> Response:
    """Names of speakers: fields `speaker-0`, `speaker-1`, ... in the order of their first words."""
    form = await request.form()
    given = {name: value for name, value in form.items() if isinstance(value, str)}
    await run_in_threadpool(_rename, services, caller, recording_id, given)
    return _back(recording_id)


def _rename(services: Services, caller: Caller, recording_id: str, given: dict[str, str]) -> None:
    with services.database.begin() as db:
        recording = own_recording(db, caller, recording_id)
        known = speakers_of(current_transcript(db, recording))
        names = {
            old: given[f"speaker-{number}"][:100]
            for number, old in enumerate(known)
            if given.get(f"speaker-{number}", old).strip() not in ("", old)
        }
        if names:
            latest = latest_version(db, recording_id)
            based_on = latest.number if latest is not None else 0
            save_edits(db, caller, recording, Edits(based_on=based_on, speakers=names))


@router.post("/recordings/{recording_id}/share")
def share(
    services: WithServices,
    caller: FormSender,
    recording_id: str,
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Somebody else may read it."""
    with services.database.begin() as db:
        share_by_name(db, own_recording(db, caller, recording_id), name)
    return _back(recording_id)


@router.post("/recordings/{recording_id}/unshare")
def share_no_more(
    services: WithServices,
    caller: FormSender,
    recording_id: str,
    user: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """They may not any more."""
    with services.database.begin() as db:
        unshare(db, own_recording(db, caller, recording_id), user)
    return _back(recording_id)


@router.post("/recordings/{recording_id}/cancel")
def cancel(services: WithServices, caller: FormSender, recording_id: str) -> Response:
    """Its run ends; finished chunks are kept."""
    cancel_job(services, _own(services, caller, recording_id))
    return _back(recording_id)


@router.post("/recordings/{recording_id}/delete")
def delete(services: WithServices, caller: FormSender, recording_id: str) -> Response:
    """Gone for good: sound, texts, what is known of it."""
    recording = _own(services, caller, recording_id)
    cancel_job(services, recording)
    delete_recording(services, recording)
    return RedirectResponse("/", 303)


@router.post("/language")
def choose_language(
    request: Request,
    caller: FormSender,
    language: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """The language of the pages, in this browser."""
    if language not in UI_LANGUAGES:
        raise Problem(400, translated("There is no such language."), code="invalid_value")
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        "longscribe_language",
        language,
        max_age=365 * 86_400,
        samesite="lax",
        httponly=True,
        secure=is_secure(request),
    )
    return answer


def _own(services: Services, caller: Caller, recording_id: str) -> Recording:
    with services.database.begin() as db:
        return own_recording(db, caller, recording_id)


def _back(recording_id: str) -> Response:
    return RedirectResponse(f"/recordings/{recording_id}", 303)
