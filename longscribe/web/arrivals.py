"""From an upload to a job: it is looked at, put into its place, and its run started."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from longscribe.audio.recording import probe
from longscribe.errors import InputError
from longscribe.web.callers import Caller
from longscribe.web.files import remove_files
from longscribe.web.jobs import NewJob, check_parameters, create_job
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.tables import Recording
from longscribe.web.transcripts import transcript_file
from longscribe.web.uploads import UploadedFile, placed

_CLIP_S: Final = 120.0
_SHORT_S: Final = 1800.0


def job_of_upload(
    services: Services,
    caller: Caller,
    file: UploadedFile,
    field: str,
    origin: str,
    parameters: Mapping[str, Any],
    reuse: bool = False,
    choose_queue: Callable[[Services, float | None], str | None] = lambda _services, _s: None,
    **more: Any,
) -> Recording:
    """A job for a file that arrived.

    Args:
        services: of the application.
        caller: who brought it.
        file: that is taken away from where it is.
        field: in which it came, for messages.
        origin: as in `NewJob`.
        parameters: as the caller gave them.
        reuse: whether a job of the caller's that is at the same sound with the same parameters,
            or has its transcript, is taken instead.
        choose_queue: the work queue for a recording of so many seconds.
        more: for `NewJob`.

    Raises:
        Problem: it is no recording, a parameter is wrong, or a limit of the key's.
    """
    checked = check_parameters(parameters, services.settings.model)
    if reuse:
        same = _same_job(services, caller, file, origin, checked)
        if same is not None:
            return same
    duration_s = duration_of(file.path, file.name, field)
    source = placed(services.settings, file)
    try:
        return create_job(
            services,
            caller,
            NewJob(
                recording_id=file.recording_id,
                source=str(source),
                title=more.pop("title", "") or file.name,
                origin=origin,
                parameters=checked,
                size_bytes=file.size_bytes,
                digest=file.digest,
                duration_s=duration_s,
                queue=choose_queue(services, duration_s),
                **more,
            ),
        )
    except Exception:  # a database that is away, too: who sent it is told, and sends it again
        remove_files(services.settings, file.recording_id)
        raise


def clip_queue(services: Services, duration_s: float | None) -> str | None:
    """The queue of a recording that somebody waits for: longer ones wait with the others."""
    if duration_s is None or duration_s > _SHORT_S:
        return None
    return services.settings.clips_queue if duration_s <= _CLIP_S else "short"


def _same_job(
    services: Services,
    caller: Caller,
    file: UploadedFile,
    origin: str,
    parameters: Mapping[str, Any],
) -> Recording | None:
    """The caller's job for the same sound and parameters: one whose connection broke, say."""
    with services.database.begin() as db:
        found = db.scalars(
            select(Recording)
            .where(
                Recording.user_id == caller.user.id,
                Recording.digest == file.digest,
                Recording.origin == origin,
                Recording.state.not_in(("failed", "cancelled", "partial")),
            )
            .order_by(Recording.created_at.desc())
        )
        for recording in found:
            kept = {k: v for k, v in recording.parameters.items() if k != "formats"}
            is_there = recording.state != "done" or transcript_file(recording).exists()
            if kept == parameters and is_there:
                return recording
    return None


def duration_of(path: Path, name: str, field: str) -> float | None:
    """Seconds that a recording's header declares; None where it does not.

    Raises:
        Problem: 400, nobody can hear it.
    """
    try:
        return probe(path).declared_duration_s
    except InputError as error:
        # The caller's name for it, not ours.
        sentence = str(error).replace(str(path), name)
        raise Problem(400, sentence, field=field, code="invalid_file") from None
