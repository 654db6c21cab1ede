"""Uploads that go on after a lost connection: the tus protocol, https://tus.io, by tuspyserver.

`POST /uploads` with the metadata `filename` and, if wanted, `title` and `parameters` (JSON); the
file is a recording, with a job, as soon as it has arrived whole, under the same identifier.

tuspyserver 4.4 takes bytes before it asks who sends them, reads what comes with a POST into memory,
joins files of others, and blocks the whole process where two requests bring parts of one file: so
what is in front of it here refuses the first three, and `OneAtATime` the last.
"""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tuspyserver import create_tus_router

from longscribe.web.arrivals import duration_of
from longscribe.web.callers import Caller, Transcriber
from longscribe.web.files import is_id, remove_files, safe_name, upload_folder
from longscribe.web.jobs import NewJob, check_parameters, create_job, largest_bytes, too_large
from longscribe.web.problems import Problem
from longscribe.web.services import Services, services_of
from longscribe.web.settings import WebSettings
from longscribe.web.tables import Recording
from longscribe.wording.catalog import translated

PREFIX: Final = "/uploads"
# The page reads along; what else is wanted is made of the JSON when it is asked for.
FORMATS: Final = ("json",)
_FIELD: Final = "file"
_KEPT_DAYS: Final = 5

# tuspyserver awaits what these return, and says in its types that they return nothing.
Hook = Callable[..., Any]


def folder_of(settings: WebSettings, user_id: str) -> Path:
    """Where a user's uploads are until they are whole, and for some days longer."""
    return settings.uploads / "tus" / user_id


def create_router(settings: WebSettings) -> APIRouter:
    """The routes of the protocol.

    Args:
        settings: of the application.
    """
    tus = create_tus_router(
        prefix=PREFIX,
        files_dir=str(settings.uploads / "tus"),
        max_size=settings.largest_upload_bytes,
        days_to_keep=_KEPT_DAYS,
        # What these return is said to return None there, and is used or awaited.
        upload_complete_dep=cast(Any, _on_complete),
        pre_create_dep=cast(Any, _pre_create),
        file_dep=cast(Any, _own_folder),
        strict_offset_validation=True,
        tags=["uploads"],
    )
    router = APIRouter()
    router.include_router(tus, dependencies=[Depends(_in_front)], include_in_schema=False)
    return router


def _in_front(request: Request, caller: Transcriber) -> None:
    """Look at a request before tuspyserver does: these dependencies come first."""
    headers = request.headers
    if "upload-concat" in headers or "x-http-method-override" in headers:
        raise Problem(400, translated("This part of tus is not offered here."), code="not_offered")
    if request.method == "POST":
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if has_body or "upload-defer-length" in headers:
            sentence = translated("Say how long the file is, and send it with PATCH.")
            raise Problem(400, sentence, code="not_offered")
    elif not is_id(request.path_params.get("uuid", "")):
        raise Problem(404, translated("There is no such upload."), code="not_found")
    request.state.caller = caller


def _own_folder(request: Request) -> Hook:
    caller: Caller = request.state.caller
    folder = folder_of(services_of(request).settings, caller.user.id)
    return lambda _metadata: {"files_dir": str(folder)}


def _pre_create(request: Request) -> Hook:
    services, caller = services_of(request), request.state.caller

    async def check(metadata: dict[str, str], upload: dict[str, Any]) -> None:
        """Refuse before the first byte what would be refused after the last."""
        largest = largest_bytes(services.settings, caller)
        size = upload.get("size")
        if size is None or size <= 0:
            raise Problem(400, translated("The recording is empty."), code="empty_file")
        if size > largest:
            raise too_large(largest)
        if not metadata.get("filename"):
            sentence = translated("Upload-Metadata lacks the filename.")
            raise Problem(400, sentence, field="filename", code="missing_filename")
        check_parameters(_parameters(metadata), services.settings.model)

    return check


def _on_complete(request: Request) -> Hook:
    services, caller = services_of(request), request.state.caller

    async def finish(path: str, metadata: dict[str, str]) -> None:
        await run_in_threadpool(_job, services, caller, Path(path), metadata)

    return finish


def _job(services: Services, caller: Caller, path: Path, metadata: dict[str, str]) -> None:
    """A job for a file that is whole; none where there is one already, as after a lost answer."""
    recording_id = path.name
    with services.database.begin() as db:
        if db.get(Recording, recording_id) is not None:
            return
    name = safe_name(metadata["filename"])
    try:
        parameters = check_parameters(_parameters(metadata), services.settings.model)
        duration_s = duration_of(path, name, _FIELD)
        folder = upload_folder(services.settings, recording_id)
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / name
        if not source.exists():
            os.link(path, source)  # the protocol still has its own for who asks what arrived
        create_job(
            services,
            caller,
            NewJob(
                recording_id=recording_id,
                source=str(source),
                title=metadata.get("title") or name,
                origin="page",
                parameters=parameters,
                formats=FORMATS,
                size_bytes=path.stat().st_size,
                duration_s=duration_s,
            ),
        )
    except Problem:
        remove_files(services.settings, recording_id)
        raise


def _parameters(metadata: dict[str, str]) -> dict[str, Any]:
    given = metadata.get("parameters") or "{}"
    try:
        parameters = json.loads(given)
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        sentence = translated("parameters: give one JSON object.")
        raise Problem(400, sentence, field="parameters", code="invalid_value")
    return parameters


def _with_type(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A header, with a type in the metadata: tuspyserver tells nobody of files without one."""
    name, value = header
    if name.lower() != b"upload-metadata" or b"filetype " in value:
        return header
    return name, value + b",filetype YXBwbGljYXRpb24vb2N0ZXQtc3RyZWFt"  # application/octet-stream


class OneAtATime:
    """Lets one request at a time bring parts of an upload: a later one ends the one before.

    That is a browser that lost its connection and is back before the server noticed. A connection
    over which nothing comes is ended too.

    Args:
        app: that is behind it.
        idle_s: how long nothing may come.
    """

    def __init__(self, app: ASGIApp, idle_s: float) -> None:
        self._app = app
        self._idle_s = idle_s
        self._under_way: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, when those for the same upload have left."""
        if scope["type"] != "http" or not scope["path"].startswith(f"{PREFIX}/"):
            if scope["type"] == "http" and scope["path"] == PREFIX:
                scope = {**scope, "headers": [*map(_with_type, scope["headers"])]}
            await self._app(scope, receive, send)
            return
        name = scope["path"]
        while name in self._under_way:
            leave, left = self._under_way[name]
            leave.set()
            await left.wait()
        leave, left = self._under_way[name] = (asyncio.Event(), asyncio.Event())

        async def receive_or_leave() -> Message:
            incoming = asyncio.ensure_future(receive())
            leaving = asyncio.ensure_future(leave.wait())
            done, pending = await asyncio.wait(
                (incoming, leaving), timeout=self._idle_s, return_when=asyncio.FIRST_COMPLETED
            )
            for one in pending:
                one.cancel()
            return incoming.result() if incoming in done else {"type": "http.disconnect"}

        try:
            await self._app(scope, receive_or_leave, send)
        finally:
            del self._under_way[name]
            left.set()
