"""Jobs: a recording, the parameters of its run, and the limits of who brings it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Db

from longscribe.errors import OptionError
from longscribe.models.names import DISTILLED, OFFICIAL
from longscribe.options import RunOptions, check_options
from longscribe.outputs.formats import output_name
from longscribe.storage.access import Access
from longscribe.storage.uris import is_url, name_of
from longscribe.web.backend import ENDED, BackendError, Refused
from longscribe.web.callbacks import check_callback
from longscribe.web.callers import Caller
from longscribe.web.files import remove_files, safe_name, transcript_folder
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.settings import WebSettings
from longscribe.web.tables import Recording
from longscribe.wording.catalog import translated

# What a caller may say of a run. The rest is the operator's: places, processes, memory.
PARAMETERS: Final = frozenset(
    {
        *("model", "language", "task", "decoding", "precision", "speed", "chunk_minutes"),
        *("max_line_chars", "max_lines", "max_chars_per_s", "min_gap_s"),
        *("hotwords", "glossary", "verbatim", "initial_prompt", "vad", "audio_track", "fresh"),
        *("temperature", "temperature_increment_on_fallback", "best_of", "beam_size", "patience"),
        *("length_penalty", "suppress_tokens", "condition_on_previous_text", "word_timestamps"),
        *("compression_ratio_threshold", "logprob_threshold", "no_speech_threshold"),
        *("speakers", "speaker_names", "speaker_marks", "diarization_model", "ui_language"),
    }
)
MODELS: Final = (*OFFICIAL, *DISTILLED, "demo")
_DAY_S: Final = 86_400.0
_LONGEST_TITLE: Final = 300


class NewJob(NamedTuple):
    """A recording that somebody brought.

    Attributes:
        recording_id: that its files are under already.
        source: path of the upload, or a URL.
        title: what people call it.
        origin: `page`, `jobs`, `openai` or `asr`.
        parameters: of the run, of `PARAMETERS`.
        formats: the run writes; JSON is always among them.
        queue: work queue; None for the deployment's own.
    """

    recording_id: str
    source: str
    title: str
    origin: str
    parameters: Mapping[str, Any]
    formats: tuple[str, ...] = ("json",)
    queue: str | None = None
    size_bytes: int = 0
    digest: str = ""
    duration_s: float | None = None
    idempotency_key: str | None = None
    callback_url: str | None = None
    callback_with_text: bool = False


def check_parameters(parameters: Mapping[str, Any], default_model: str) -> dict[str, Any]:
    """The parameters of a run as a caller may give them, checked.

    Raises:
        Problem: 400, names the first that is wrong.
    """
    for name in parameters:
        if name not in PARAMETERS:
            sentence = translated("{name} is no parameter of a job; there are {names}.")
            raise Problem(
                400,
                sentence.format(name=name, names=", ".join(sorted(PARAMETERS))),
                field=name,
                code="unknown_parameter",
            )
    given = {"model": default_model, **parameters}
    if given["model"] not in (*MODELS, default_model):
        sentence = translated("There is no model {name!r}; choose from {names}.")
        names = ", ".join(dict.fromkeys((default_model, *MODELS)))
        raise Problem(
            400,
            sentence.format(name=given["model"], names=names),
            field="model",
            code="model_not_found",
        )
    try:
        options = _without_files(check_options(recording="recording", **given))
    except OptionError as error:
        field = str(error).partition(":")[0].removeprefix("--").replace("-", "_")
        raise Problem(
            400, str(error), field=field if field in PARAMETERS else None, code="invalid_value"
        ) from None
    return {name: _as_json(getattr(options, name)) for name in given}


def _without_files(options: RunOptions) -> RunOptions:
    """The options with nothing in them that a run would read as a file of the worker's.

    Raises:
        OptionError: an entry names one.
    """
    nowhere = Access(media_roots=())
    return options.model_copy(
        update={
            "hotwords": tuple(map(nowhere.hotwords_entry, options.hotwords)),
            "glossary": tuple(map(nowhere.glossary_entry, options.glossary)),
            "diarization_model": nowhere.diarization_model(options.diarization_model),
        }
    )


def create_job(services: Services, caller: Caller, job: NewJob) -> Recording:
    """Make a recording and start its run; the same idempotency key again gives the same recording.

    Where the Prefect server is away the recording waits for it: `Follower` starts the run later.

    Raises:
        Problem: a limit of the key's, or the server does not accept the parameters.
    """
    if job.callback_url is not None:
        check_callback(job.callback_url)
    stem = output_name_of(job.source)
    recording = Recording(
        id=job.recording_id,
        user_id=caller.user.id,
        key_id=caller.key.id if caller.key is not None else None,
        title=(" ".join(job.title.split()) or stem)[:_LONGEST_TITLE],
        source=job.source,
        size_bytes=job.size_bytes,
        digest=job.digest,
        duration_s=job.duration_s,
        origin=job.origin,
        parameters={**job.parameters, "formats": sorted({*job.formats, "json"})},
        queue=job.queue,
        folder=str(transcript_folder(services.settings, job.recording_id) / stem),
        file_stem=stem,
        idempotency_key=job.idempotency_key,
        callback_url=job.callback_url,
        callback_with_text=job.callback_with_text,
    )
    try:
        with services.database.begin() as db:
            if job.idempotency_key is not None:
                same = find_same(db, caller, job.idempotency_key)
                if same is not None:
                    remove_files(services.settings, job.recording_id)
                    return same
            check_limits(db, caller, job)
            db.add(recording)
    except IntegrityError:  # two requests with one key at once
        with services.database.begin() as db:
            same = find_same(db, caller, job.idempotency_key or "")
        if same is None:
            raise
        remove_files(services.settings, job.recording_id)
        return same
    start_run(services, recording)
    return recording


def start_run(services: Services, recording: Recording) -> None:
    """Start the run of a recording that has none; where the server is away, leave it for later.

    Raises:
        Problem: the server does not accept the parameters; the recording is failed.
    """
    folder = transcript_folder(services.settings, recording.id)
    try:
        run_id = services.backend.start(
            {**recording.parameters, "recording": recording.source, "output_dir": str(folder)},
            f"web-{recording.id}",
            recording.queue,
            recording.title[:60],
        )
    except Refused as error:
        set_state(services, recording.id, state="failed", message=str(error), ended_at=time.time())
        raise Problem(400, str(error), code="invalid_value") from None
    except BackendError as error:
        set_state(services, recording.id, message=str(error))
        return
    set_state(services, recording.id, flow_run_id=run_id, message="")
    recording.flow_run_id = run_id


def set_state(services: Services, recording_id: str, **values: Any) -> None:
    """Write down what became of a recording, and tell those who wait for it."""
    with services.database.begin() as db:
        recording = db.get(Recording, recording_id)
        if recording is None:
            return
        for name, value in values.items():
            setattr(recording, name, value)
        recording.revision += 1
    services.changes.tell(recording_id)
    services.changes.wake()


def cancel_job(services: Services, recording: Recording) -> None:
    """End a recording's run.

    Raises:
        Problem: 503, the server does not answer.
    """
    if recording.state in ENDED:
        return
    if recording.flow_run_id is None:
        set_state(services, recording.id, state="cancelled", ended_at=time.time())
        return
    try:
        services.backend.cancel(recording.flow_run_id)
    except BackendError as error:
        raise Problem(503, str(error), code="engine_away", headers={"retry-after": "5"}) from None
    services.changes.wake()


def find_same(db: Db, caller: Caller, idempotency_key: str) -> Recording | None:
    """The caller's recording that was made with an idempotency key; None where there is none."""
    return db.scalar(
        select(Recording).where(
            Recording.user_id == caller.user.id, Recording.idempotency_key == idempotency_key
        )
    )


def check_limits(db: Db, caller: Caller, job: NewJob) -> None:
    """Refuse what is more than a key may bring.

    Raises:
        Problem: 413 or 429.
    """
    key = caller.key
    if key is None:
        return
    if key.largest_bytes is not None and job.size_bytes > key.largest_bytes:
        raise too_large(key.largest_bytes)
    since = time.time() - _DAY_S
    recent = (Recording.key_id == key.id, Recording.created_at > since)
    jobs, seconds = db.execute(
        select(func.count(), func.sum(func.coalesce(Recording.duration_s, 0.0))).where(*recent)
    ).one()
    if key.most_jobs is not None and jobs >= key.most_jobs:
        sentence = translated("This key may bring {most} recordings in 24 hours; try again later.")
        raise Problem(
            429,
            sentence.format(most=key.most_jobs),
            code="rate_limit_exceeded",
            headers={"retry-after": "3600"},
        )
    hours = ((seconds or 0.0) + (job.duration_s or 0.0)) / 3600.0
    if key.most_hours is not None and hours > key.most_hours:
        sentence = translated(
            "This key may bring {most:g} hours of recordings in 24 hours; try again later."
        )
        raise Problem(
            429,
            sentence.format(most=key.most_hours),
            code="rate_limit_exceeded",
            headers={"retry-after": "3600"},
        )


def largest_bytes(settings: WebSettings, caller: Caller) -> int:
    """The largest recording that a caller may bring."""
    of_key = caller.key.largest_bytes if caller.key is not None else None
    return min(settings.largest_upload_bytes, of_key or settings.largest_upload_bytes)


def too_large(largest_bytes: int) -> Problem:
    """A recording that is larger than allowed."""
    sentence = translated("The recording is larger than the {most:g} MB that are allowed.")
    return Problem(
        413, sentence.format(most=largest_bytes / 1e6), field="file", code="file_too_large"
    )


def output_name_of(source: str) -> str:
    """The name of a run's files, as the flow makes it."""
    return output_name(Path(name_of(source)))


def title_of(source: str) -> str:
    """What a recording is called where nobody says: its file's name."""
    return name_of(source) if is_url(source) else safe_name(source)


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
