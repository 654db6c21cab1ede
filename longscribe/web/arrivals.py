"""From an upload to a job: it is looked at, put into its place, and its run started."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longscribe.audio.recording import probe
from longscribe.errors import InputError
from longscribe.web.callers import Caller
from longscribe.web.files import remove_files
from longscribe.web.jobs import NewJob, check_parameters, create_job
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.tables import Recording
from longscribe.web.uploads import UploadedFile, placed


def job_of_upload(
    services: Services,
    caller: Caller,
    file: UploadedFile,
    field: str,
    origin: str,
    parameters: Mapping[str, Any],
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
        more: for `NewJob`.

    Raises:
        Problem: it is no recording, a parameter is wrong, or a limit of the key's.
    """
    checked = check_parameters(parameters, services.settings.model)
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
                **more,
            ),
        )
    except Problem:
        remove_files(services.settings, file.recording_id)
        raise


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
