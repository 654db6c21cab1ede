"""The library's pages: the list, one recording, its transcript, its sound."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response, StreamingResponse

from longscribe.languages import LANGUAGES
from longscribe.options import SubtitleRules
from longscribe.outputs.page.page import LibraryLink, PageSound
from longscribe.outputs.page.page import page as transcript_page
from longscribe.web.backend import ENDED, HAS_TRANSCRIPT, STATES
from longscribe.web.callers import Caller, Reader, WithServices
from longscribe.web.jobs import MODELS, largest_bytes
from longscribe.web.library.editing import speakers_of
from longscribe.web.library.people import all_tags, shared_with
from longscribe.web.library.search import search
from longscribe.web.library.sound import brought_sound, playable_sound
from longscribe.web.library.wording import state_shown, state_word
from longscribe.web.pages import page
from longscribe.web.problems import Problem
from longscribe.web.recordings import (
    count_recordings,
    current_transcript,
    latest_version,
    list_recordings,
    recording_for,
    tags_of,
    versions_of,
)
from longscribe.web.routes.jobs import checked_format
from longscribe.web.services import Services
from longscribe.web.tables import Recording, User
from longscribe.web.transcripts import MEDIA_TYPES, RENDERED, rendered
from longscribe.wording.catalog import translated

router = APIRouter(include_in_schema=False)
_PER_PAGE: Final = 50
_ALIVE_EVERY_S: Final = 15.0
_MOST_WATCHED: Final = 50


@router.get("/")
def show_library(
    request: Request,
    services: WithServices,
    caller: Reader,
    q: Annotated[str, Query(max_length=500)] = "",
    state: str = "",
    tag: Annotated[str, Query(max_length=100)] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=10**6)] = 1,
) -> Response:
    """The caller's recordings, the latest first, or those in which words were said."""
    if q.strip():
        with services.database.begin() as db:
            found = search(db, caller, q)
        return page(request, "search.html", caller, found=found, query=q, state_shown=state_shown)
    wanted = {"state": state if state in STATES else None, "tag": tag or None}
    with services.database.begin() as db:
        recordings = list_recordings(db, caller, _PER_PAGE, (number - 1) * _PER_PAGE, **wanted)
        count = count_recordings(db, caller, **wanted)
        tags = {one.id: tags_of(db, one.id) for one in recordings}
        known_tags = all_tags(db, caller)
    return page(
        request,
        "library.html",
        caller,
        recordings=recordings,
        tags=tags,
        known_tags=known_tags,
        count=count,
        number=number,
        pages=max(1, -(-count // _PER_PAGE)),
        state=state,
        tag=tag,
        states={one: state_word(one) for one in STATES},
        state_shown=state_shown,
        models=list(dict.fromkeys((services.settings.model, *MODELS))),
        languages=sorted(LANGUAGES.items(), key=lambda item: item[1]),
        largest_bytes=largest_bytes(services.settings, caller),
    )


@router.get("/library/events")
async def events(
    services: WithServices, caller: Reader, ids: Annotated[str, Query(max_length=5000)] = ""
) -> StreamingResponse:
    """Server-sent events: recordings of a list, each time one changed, until all have ended."""
    wanted = ids.split(",")[:_MOST_WATCHED]
    return StreamingResponse(
        _changes(services, caller, wanted),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _changes(services: Services, caller: Caller, ids: list[str]) -> AsyncIterator[str]:
    seen: dict[str, int] = {}

    def look() -> list[Recording]:
        found = []
        with services.database.begin() as db:
            for one in ids:
                try:
                    found.append(recording_for(db, caller, one))
                except Problem:
                    continue  # deleted, or not theirs
        return found

    with ExitStack() as watching:
        events = [watching.enter_context(services.changes.watching(one)) for one in ids]
        while True:
            recordings = await run_in_threadpool(look)
            for recording in recordings:
                if seen.get(recording.id) != recording.revision:
                    seen[recording.id] = recording.revision
                    yield f"event: recording\ndata: {json.dumps(row(recording))}\n\n"
            if all(recording.state in ENDED for recording in recordings):
                yield "event: over\ndata: {}\n\n"
                return
            waits = [asyncio.ensure_future(event.wait()) for event in events]
            try:
                await asyncio.wait(
                    waits, timeout=_ALIVE_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                for wait in waits:
                    wait.cancel()
            if not any(event.is_set() for event in events):
                yield ": still here\n\n"
            for event in events:
                event.clear()


def row(recording: Recording) -> dict[str, Any]:
    """A recording as the list's script shows it: as text, never as HTML."""
    return {
        "id": recording.id,
        "state": recording.state,
        "shown": state_shown(recording),
        "percent": round(recording.percent),
        "is_over": recording.state in ENDED,
        "has_transcript": recording.state in HAS_TRANSCRIPT,
    }


@router.get("/recordings/{recording_id}")
def show_recording(
    request: Request, services: WithServices, caller: Reader, recording_id: str
) -> Response:
    """One recording, and what can be done with it."""
    with services.database.begin() as db:
        recording = recording_for(db, caller, recording_id)
        owner = db.get(User, recording.user_id)
        versions = versions_of(db, recording_id)
        tags = tags_of(db, recording_id)
        shared = shared_with(db, recording_id)
        speakers = []
        if recording.state in HAS_TRANSCRIPT:
            try:
                speakers = speakers_of(current_transcript(db, recording))
            except Problem:
                speakers = []
    return page(
        request,
        "recording.html",
        caller,
        recording=recording,
        owner=owner,
        is_own=recording.user_id == caller.user.id,
        versions=versions,
        tags=tags,
        shared=shared,
        speakers=speakers,
        formats=RENDERED,
        state_shown=state_shown,
        has_transcript=recording.state in HAS_TRANSCRIPT,
        is_over=recording.state in ENDED,
        has_sound=brought_sound(services, recording) is not None,
    )


@router.get("/recordings/{recording_id}/page")
def show_transcript(services: WithServices, caller: Reader, recording_id: str) -> Response:
    """The transcript to read, hear and correct."""
    with services.database.begin() as db:
        recording = recording_for(db, caller, recording_id)
        transcript = current_transcript(db, recording)
        latest = latest_version(db, recording_id)
    is_own = recording.user_id == caller.user.id
    link = LibraryLink(
        home=f"/recordings/{recording_id}",
        save=f"/recordings/{recording_id}/versions" if is_own else "",
        csrf_token=caller.session.csrf_token if caller.session is not None else "",
        version=latest.number if latest is not None else 0,
    )
    sound = None
    if brought_sound(services, recording) is not None:
        sound = PageSound(b"", 0.0, f"/recordings/{recording_id}/sound", None)
    shown = transcript.model_copy(update={"recording": recording.title})
    pieces = transcript_page(shown, recording.file_stem, SubtitleRules(), sound, link)
    return Response(
        "".join(pieces),
        media_type=MEDIA_TYPES["html"],
        # The rest of its policy stands in the page, with the digests of its script and style.
        headers={
            "content-security-policy": "frame-ancestors 'none'; base-uri 'none'",
            "cache-control": "no-store",
        },
    )


@router.get("/recordings/{recording_id}/sound")
def send_sound(services: WithServices, caller: Reader, recording_id: str) -> Response:
    """The recording, in a form that browsers play; parts of it where they ask for those."""
    with services.database.begin() as db:
        recording = recording_for(db, caller, recording_id)
    path = playable_sound(services, recording)
    if path is None:
        raise Problem(404, translated("This recording has no sound here."), code="no_sound")
    # It is from a stranger: never anything that a browser would run.
    kind = "video/mp4" if path.suffix.lower() in (".mp4", ".m4v") else _kind(path.suffix.lower())
    return FileResponse(path, media_type=kind, headers={"cache-control": "private, max-age=3600"})


def _kind(suffix: str) -> str:
    kinds = {".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".wav": "audio/wav", ".flac": "audio/flac"}
    more = {".ogg": "audio/ogg", ".opus": "audio/ogg", ".webm": "audio/webm", ".aac": "audio/aac"}
    return (kinds | more).get(suffix, "application/octet-stream")


@router.get("/recordings/{recording_id}/download")
def download(
    services: WithServices, caller: Reader, recording_id: str, format: str = "txt"
) -> Response:
    """The transcript as it was left last, as a file."""
    format_ = checked_format(format)
    with services.database.begin() as db:
        recording = recording_for(db, caller, recording_id)
        found = current_transcript(db, recording)
    suffix = "words.json" if format_ == "words" else format_
    name = quote(f"{recording.file_stem}.{suffix}")
    return Response(
        rendered(found, format_),
        media_type=MEDIA_TYPES[format_],
        headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"},
    )
