"""Jobs: bring a recording, see how far it is, take the transcript, end it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from longscribe.errors import OptionError
from longscribe.options import Format
from longscribe.storage.access import Access
from longscribe.storage.uris import is_url
from longscribe.web.arrivals import job_of_upload
from longscribe.web.backend import ENDED, BackendError
from longscribe.web.callers import Reader, Transcriber, WithServices
from longscribe.web.deletions import delete_recording
from longscribe.web.jobs import (
    NewJob,
    cancel_job,
    check_parameters,
    create_job,
    largest_bytes,
    title_of,
)
from longscribe.web.problems import Problem
from longscribe.web.recordings import (
    current_transcript,
    list_recordings,
    own_recording,
    recording_for,
)
from longscribe.web.tables import Recording, new_id
from longscribe.web.transcripts import MEDIA_TYPES, RENDERED, rendered
from longscribe.web.uploads import Form, receiving
from longscribe.wording.catalog import translated

router = APIRouter(prefix="/jobs", tags=["jobs"])
_FIELD = "file"
_EVENT_EVERY_S = 15.0  # a comment at least, so that proxies keep the connection

IdempotencyKey = Annotated[str | None, Header(max_length=200)]


class Job(BaseModel):
    """A job as it is told."""

    id: str
    title: str
    state: Literal["queued", "running", "done", "partial", "failed", "cancelled"]
    message: str = Field(description="Why it is in that state; empty for the usual.")
    percent: float
    left_s: float | None = Field(description="Seconds left; null where nobody knows yet.")
    duration_s: float | None
    language: str
    size_bytes: int
    parameters: dict[str, Any]
    flow_run_id: str | None = Field(description="The run in Prefect's UI.")
    created_at: float = Field(description="Seconds since 1970, as all times here.")
    started_at: float | None
    ended_at: float | None
    chunks: list[dict[str, Any]] | None = Field(
        default=None, description="One row a chunk; only where a single job is asked for."
    )


class JobOfUrl(BaseModel):
    """A recording that the worker fetches."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=4000, description="http://, https://, s3://, gs://, az://, sftp://")
    title: str = Field(default="", max_length=300)
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Options of the run, such as model and language."
    )
    callback_url: str | None = Field(default=None, max_length=4000)
    callback_with_text: bool = False


def told(recording: Recording, chunks: list[dict[str, Any]] | None = None) -> Job:
    """A recording as the API tells it."""
    fields = {name: getattr(recording, name) for name in Job.model_fields if name != "chunks"}
    return Job(**fields, chunks=chunks)


@router.post(
    "",
    status_code=201,
    response_model=Job,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": JobOfUrl.model_json_schema()},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": [_FIELD],
                        "properties": {
                            _FIELD: {"type": "string", "format": "binary"},
                            "title": {"type": "string"},
                            "parameters": {"type": "string", "description": "JSON"},
                            "callback_url": {"type": "string"},
                            "callback_with_text": {"type": "boolean"},
                        },
                    }
                },
            },
        }
    },
)
async def start(
    request: Request,
    services: WithServices,
    caller: Transcriber,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Bring a recording: as a file in a form, or in JSON by the URL to fetch it from.

    In a form, options of the run are fields of their own, or JSON in the field `parameters`. The
    header `Idempotency-Key` sent again gives the same job.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        return told(await _job_of_url(request, services, caller, idempotency_key))
    largest = largest_bytes(services.settings, caller)
    async with receiving(request, services.settings, _FIELD, largest) as form:
        file = form.needed_file(_FIELD)
        recording = await run_in_threadpool(
            job_of_upload,
            services,
            caller,
            file,
            _FIELD,
            "jobs",
            _parameters(form),
            title=form.first("title"),
            idempotency_key=idempotency_key,
            callback_url=form.first("callback_url") or None,
            callback_with_text=form.first("callback_with_text").lower() in ("1", "true", "on"),
        )
    return told(recording)


async def _job_of_url(
    request: Request, services: WithServices, caller: Transcriber, idempotency_key: str | None
) -> Recording:
    asked = await json_body(request, JobOfUrl)
    if not is_url(asked.url):
        sentence = translated("url: give a URL, such as https:// or s3://; or send the file.")
        raise Problem(400, sentence, field="url", code="invalid_value")
    try:
        Access.from_environment().allowed(asked.url, "url")
    except OptionError as error:
        raise Problem(400, str(error), field="url", code="invalid_value") from None
    job = NewJob(
        recording_id=new_id(),
        source=asked.url,
        title=asked.title or title_of(asked.url),
        origin="jobs",
        parameters=check_parameters(asked.parameters, services.settings.model),
        idempotency_key=idempotency_key,
        callback_url=asked.callback_url,
        callback_with_text=asked.callback_with_text,
    )
    return await run_in_threadpool(create_job, services, caller, job)


@router.get("", response_model=list[Job])
def index(
    services: WithServices,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    state: str | None = None,
) -> list[Job]:
    """The caller's jobs, the latest first."""
    with services.database.begin() as db:
        return [told(r) for r in list_recordings(db, caller, limit, offset, state)]


@router.get("/{job_id}", response_model=Job)
def show(services: WithServices, caller: Reader, job_id: str) -> Job:
    """One job, with its chunks."""
    with services.database.begin() as db:
        recording = recording_for(db, caller, job_id)
    chunks: list[dict[str, Any]] = []
    if recording.flow_run_id is not None:
        try:
            progress = services.backend.progress(recording.flow_run_id, with_chunks=True)
            chunks = [dict(row) for row in progress.chunks]
        except BackendError:
            chunks = []  # told when it is back
    return told(recording, chunks)


@router.get("/{job_id}/events")
async def events(services: WithServices, caller: Reader, job_id: str) -> StreamingResponse:
    """The job as server-sent events: each time that it changed, until it has ended."""

    def look() -> Recording:
        with services.database.begin() as db:
            return recording_for(db, caller, job_id)

    await run_in_threadpool(look)  # 404 before anything is sent

    async def stream() -> AsyncIterator[str]:
        seen = -1
        with services.changes.watching(job_id) as changed:
            while True:
                changed.clear()
                try:
                    recording = await run_in_threadpool(look)
                except Problem:
                    yield "event: deleted\ndata: {}\n\n"
                    return
                if recording.revision != seen:
                    seen = recording.revision
                    data = told(recording).model_dump_json(exclude={"chunks"})
                    yield f"event: job\nid: {seen}\ndata: {data}\n\n"
                if recording.state in ENDED:
                    return
                try:
                    await asyncio.wait_for(changed.wait(), _EVENT_EVERY_S)
                except TimeoutError:
                    yield ": still here\n\n"

    return StreamingResponse(
        stream(),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


@router.get("/{job_id}/transcript")
def transcript(
    services: WithServices, caller: Reader, job_id: str, format: str = "json"
) -> Response:
    """The transcript as it was left last, in any format."""
    format_ = checked_format(format)
    with services.database.begin() as db:
        recording = recording_for(db, caller, job_id)
        found = current_transcript(db, recording)
    return Response(rendered(found, format_), media_type=MEDIA_TYPES[format_])


@router.post("/{job_id}/cancel", response_model=Job)
def cancel(services: WithServices, caller: Transcriber, job_id: str) -> Job:
    """End the job's run; finished chunks are kept."""
    with services.database.begin() as db:
        recording = own_recording(db, caller, job_id)
    cancel_job(services, recording)
    with services.database.begin() as db:
        return told(own_recording(db, caller, job_id))


@router.delete("/{job_id}", status_code=204)
def delete(services: WithServices, caller: Transcriber, job_id: str) -> None:
    """Delete the job for good: its sound, its texts, and what is known of it."""
    with services.database.begin() as db:
        recording = own_recording(db, caller, job_id)
    cancel_job(services, recording)
    delete_recording(services, recording)


def checked_format(name: str) -> Format:
    """A format that a transcript can be rendered in.

    Raises:
        Problem: 400, there is no such.
    """
    if name not in RENDERED:
        sentence = translated("There is no format {name!r}; choose from {names}.")
        names = ", ".join(RENDERED)
        raise Problem(400, sentence.format(name=name[:40], names=names), field="format")
    return next(one for one in get_args(Format) if one == name)


async def json_body(request: Request, model: type[JobOfUrl]) -> JobOfUrl:
    """The body of a request, at most 1 MB of JSON.

    Raises:
        Problem: it is larger, or not what it should be.
    """
    from pydantic import ValidationError

    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > 1_000_000:
            raise Problem(413, translated("The request is larger than 1 MB."), code="too_large")
    try:
        return model.model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        sentence = translated("{field}: {message}").format(field=field, message=first["msg"])
        raise Problem(400, sentence, field=field or None, code="invalid_value") from None


_OF_THE_JOB = ("title", "parameters", "callback_url", "callback_with_text", "csrf_token")


def _parameters(form: Form) -> dict[str, Any]:
    """Options of the run in a form: fields of their own, and JSON."""
    given: dict[str, Any] = {
        name: values if len(values) > 1 else values[0]
        for name, values in form.fields.items()
        if name not in _OF_THE_JOB
    }
    if form.first("parameters"):
        try:
            more = json.loads(form.first("parameters"))
        except ValueError:
            more = None
        if not isinstance(more, dict):
            sentence = translated("parameters: give one JSON object.")
            raise Problem(400, sentence, field="parameters", code="invalid_value")
        given |= more
    return {name: value for name, value in given.items() if value != ""}
