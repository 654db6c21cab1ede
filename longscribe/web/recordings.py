"""The library: recordings of a user, what they may see and change."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session as Db

from longscribe.transcript import Transcript
from longscribe.web.backend import HAS_TRANSCRIPT
from longscribe.web.callers import Caller
from longscribe.web.problems import Problem
from longscribe.web.tables import Recording, Share, Tag, User, Version
from longscribe.web.transcripts import as_json, read_transcript, transcript_file, transcript_of
from longscribe.wording.catalog import translated


def visible(caller: Caller) -> Select[tuple[Recording]]:
    """A query for the recordings that a caller may read: their own and what is shared."""
    query = select(Recording)
    if caller.sees_all:
        return query
    shared = select(Share.recording_id).where(Share.user_id == caller.user.id)
    return query.where(or_(Recording.user_id == caller.user.id, Recording.id.in_(shared)))


def list_recordings(
    db: Db,
    caller: Caller,
    limit: int = 50,
    offset: int = 0,
    state: str | None = None,
    tag: str | None = None,
    origins: Sequence[str] | None = None,
) -> list[Recording]:
    """The caller's recordings, the latest first.

    Args:
        db: of the database.
        caller: who may read them.
        limit: how many at most.
        offset: how many are left out before.
        state: of the recordings; None for any.
        tag: that they have; None for any.
        origins: who brought them; None for anybody.
    """
    query = _filtered(visible(caller), state, tag, origins)
    query = query.order_by(Recording.created_at.desc(), Recording.id)
    return list(db.scalars(query.limit(limit).offset(offset)))


def count_recordings(
    db: Db,
    caller: Caller,
    state: str | None = None,
    tag: str | None = None,
    origins: Sequence[str] | None = None,
) -> int:
    """How many `list_recordings` would give without a limit."""
    query = _filtered(visible(caller), state, tag, origins)
    return db.scalar(select(func.count()).select_from(query.subquery())) or 0


def recording_for(db: Db, caller: Caller, recording_id: str) -> Recording:
    """A recording that the caller may read.

    Raises:
        Problem: 404, there is none, or it is somebody else's: the answer does not tell which.
    """
    found = db.scalar(visible(caller).where(Recording.id == recording_id))
    if found is None:
        raise Problem(404, translated("There is no such recording."), code="not_found")
    return found


def own_recording(db: Db, caller: Caller, recording_id: str) -> Recording:
    """A recording that the caller may change.

    Raises:
        Problem: 404 as `recording_for`, 403 where it is only shared with them.
    """
    found = recording_for(db, caller, recording_id)
    if found.user_id != caller.user.id and not caller.sees_all:
        sentence = translated("This recording is shared with you; only its owner may change it.")
        raise Problem(403, sentence, code="not_yours")
    return found


def current_transcript(db: Db, recording: Recording) -> Transcript:
    """The transcript as it was left last: the latest version, or the run's own.

    Raises:
        Problem: 409, there is none yet; 410, its file is gone.
    """
    latest = latest_version(db, recording.id)
    if latest is not None:
        return transcript_of_text(latest.transcript)
    if recording.state not in HAS_TRANSCRIPT:
        sentence = translated("This recording has no transcript: it is {state}. {message}")
        said = sentence.format(state=recording.state, message=recording.message).strip()
        raise Problem(409, said, code="no_transcript")
    try:
        return read_transcript(transcript_file(recording))
    except (OSError, ValueError):
        raise Problem(410, translated("The transcript's file is gone."), code="gone") from None


def transcript_of_text(text: str) -> Transcript:
    """The transcript in a version's text."""
    return transcript_of(json.loads(text))


def latest_version(db: Db, recording_id: str) -> Version | None:
    """What was saved last; None where nobody changed anything."""
    return db.scalar(
        select(Version)
        .where(Version.recording_id == recording_id)
        .order_by(Version.number.desc())
        .limit(1)
    )


def save_version(
    db: Db, recording: Recording, user: User, transcript: Transcript, based_on: int
) -> Version:
    """Keep a changed transcript; the run's own is number 0 and stays a file.

    Args:
        db: of the database.
        recording: whose it is.
        user: who changed it.
        transcript: as it is now.
        based_on: number of the version that was changed; 0 for the run's own.

    Raises:
        Problem: 409, somebody saved another since.
    """
    latest = latest_version(db, recording.id)
    number = latest.number if latest is not None else 0
    if number != based_on:
        sentence = translated("Somebody saved this transcript meanwhile; load the page again.")
        raise Problem(409, sentence, code="changed_since")
    version = Version(
        recording_id=recording.id,
        number=number + 1,
        user_id=user.id,
        transcript=as_json(transcript),
        created_at=time.time(),
    )
    db.add(version)
    db.flush()
    return version


def versions_of(db: Db, recording_id: str) -> list[Version]:
    """All versions, the first first."""
    query = select(Version).where(Version.recording_id == recording_id).order_by(Version.number)
    return list(db.scalars(query))


def tags_of(db: Db, recording_id: str) -> list[str]:
    """A recording's tags, in alphabetical order."""
    query = select(Tag.name).where(Tag.recording_id == recording_id).order_by(Tag.name)
    return list(db.scalars(query))


def set_tags(db: Db, recording: Recording, names: Sequence[str]) -> None:
    """Give a recording these tags and no others."""
    db.execute(delete(Tag).where(Tag.recording_id == recording.id))
    for name in dict.fromkeys(" ".join(name.split())[:60] for name in names):
        if name:
            db.add(Tag(recording_id=recording.id, name=name))
    db.flush()


def share_with(db: Db, recording: Recording, user: User) -> None:
    """Let somebody else read a recording."""
    if user.id != recording.user_id and db.get(Share, (recording.id, user.id)) is None:
        db.add(Share(recording_id=recording.id, user_id=user.id))


def files_of(recording: Recording) -> dict[str, Path]:
    """Suffix -> file, of what the recording's run wrote: `txt`, `json`, `page.m4a`, ..."""
    folder = Path(recording.folder)
    start = f"{recording.file_stem}."
    if not folder.is_dir():
        return {}
    return {
        file.name.removeprefix(start): file
        for file in sorted(folder.iterdir())
        if file.name.startswith(start) and file.is_file()
    }


def _filtered(
    query: Select[tuple[Recording]],
    state: str | None,
    tag: str | None,
    origins: Sequence[str] | None,
) -> Select[tuple[Recording]]:
    if state is not None:
        query = query.where(Recording.state == state)
    if tag is not None:
        query = query.where(Recording.id.in_(select(Tag.recording_id).where(Tag.name == tag)))
    if origins is not None:
        query = query.where(Recording.origin.in_(origins))
    return query
