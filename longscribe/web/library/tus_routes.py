"""`/uploads`: the tus protocol's requests."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from longscribe.web.callers import Caller, Transcriber, WithServices
from longscribe.web.jobs import largest_bytes
from longscribe.web.library.resumable import VERSION, ResumableUploads, Upload
from longscribe.web.problems import Problem
from longscribe.web.recordings import recording_for
from longscribe.web.services import Services
from longscribe.wording.catalog import translated

router = APIRouter(prefix="/uploads", include_in_schema=False)
_BODY: Final = "application/offset+octet-stream"


@router.options("")
def describe(services: WithServices, caller: Transcriber) -> Response:
    """What this server speaks."""
    largest = largest_bytes(services.settings, caller)
    headers = {
        "tus-version": VERSION,
        "tus-extension": "creation,termination",
        "tus-max-size": str(largest),
    }
    return _answer(204, headers)


@router.post("")
def begin(
    request: Request,
    services: WithServices,
    caller: Transcriber,
    upload_length: Annotated[str | None, Header()] = None,
    upload_metadata: Annotated[str, Header()] = "",
) -> Response:
    """Begin an upload; the answer names its address."""
    _check_version(request)
    upload = _uploads(services).begin(caller, upload_length, upload_metadata)
    return _answer(201, {"location": f"/uploads/{upload.begun.id}", "upload-offset": "0"})


@router.head("/{upload_id}")
async def tell(
    request: Request, services: WithServices, caller: Transcriber, upload_id: str
) -> Response:
    """How much has come; one that is complete becomes a recording, if it is none yet."""
    _check_version(request)
    try:
        upload = _uploads(services).find(caller, upload_id)
    except Problem:
        size_bytes = await run_in_threadpool(_size_of_recording, services, caller, upload_id)
        return _answer(200, _progress(size_bytes, size_bytes))
    if upload.is_complete:  # the application ended before it said so
        await run_in_threadpool(_uploads(services).finish, caller, upload)
        return _answer(200, _progress(upload.begun.size_bytes, upload.begun.size_bytes))
    return _answer(200, _progress(upload.offset_bytes, upload.begun.size_bytes))


@router.patch("/{upload_id}")
async def append(
    request: Request,
    services: WithServices,
    caller: Transcriber,
    upload_id: str,
    upload_offset: Annotated[str, Header()] = "",
) -> Response:
    """Take more of it in; with the last of it the recording's run starts."""
    _check_version(request)
    if request.headers.get("content-type", "") != _BODY:
        sentence = translated("Send the recording as {kind}.").format(kind=_BODY)
        raise Problem(415, sentence, code="unsupported_media_type")
    uploads = _uploads(services)
    upload = uploads.find(caller, upload_id)
    await uploads.append(upload, upload_offset, request.stream())
    headers = {"upload-offset": str(upload.offset_bytes)}
    if upload.is_complete:
        headers["upload-offset"] = str(upload.begun.size_bytes)
        recording = await run_in_threadpool(uploads.finish, caller, upload)
        headers["x-recording"] = recording.id
    return _answer(204, headers)


@router.delete("/{upload_id}")
def give_up(
    request: Request, services: WithServices, caller: Transcriber, upload_id: str
) -> Response:
    """Forget it."""
    _check_version(request)
    upload: Upload = _uploads(services).find(caller, upload_id)
    upload.remove()
    return _answer(204, {})


def _uploads(services: Services) -> ResumableUploads:
    return ResumableUploads(services)


def _size_of_recording(services: Services, caller: Caller, recording_id: str) -> int:
    with services.database.begin() as db:
        return recording_for(db, caller, recording_id).size_bytes


def _progress(offset_bytes: int, size_bytes: int) -> dict[str, str]:
    return {"upload-offset": str(offset_bytes), "upload-length": str(size_bytes)}


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        sentence = translated("This speaks version {version} of the tus protocol.")
        raise Problem(
            412, sentence.format(version=VERSION), code="version", headers={"tus-version": VERSION}
        )


def _answer(status: int, headers: dict[str, str]) -> Response:
    told = {"tus-resumable": VERSION, "cache-control": "no-store", **headers}
    return Response(status_code=status, headers=told)
