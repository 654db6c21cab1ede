"""OpenAI's audio API: `/v1/audio/transcriptions`, `/v1/audio/translations`, `/v1/models`."""

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from longscribe.errors import OptionError
from longscribe.models.weights import check_task
from longscribe.options import Task
from longscribe.web import openai_forms as forms
from longscribe.web.arrivals import clip_queue, job_of_upload
from longscribe.web.callers import AnyCaller, Transcriber, WithServices
from longscribe.web.jobs import MODELS, largest_bytes
from longscribe.web.model_names import DIARIZING, model_names, model_of
from longscribe.web.problems import Problem, openai_error
from longscribe.web.tables import Recording
from longscribe.web.uploads import Form, UploadedFile, receiving
from longscribe.web.waiting import texts_of_job, transcript_of_job
from longscribe.wording.catalog import translated

router = APIRouter(prefix="/v1", tags=["OpenAI's audio API"])
_FIELD: Final = "file"
_GRANULARITIES: Final = ("segment", "word")
# Where text is wanted as it comes, chunks are short.
_STREAMING_CHUNK_MINUTES: Final = 1.0
_KNOWN: Final = frozenset(
    {
        *("model", "language", "prompt", "response_format", "temperature", "stream"),
        *("timestamp_granularities[]", "timestamp_granularities", "hotwords"),
    }
)
# What changes nothing here, and clients send: that it is not refused is worth more.
_IGNORED: Final = frozenset(
    {
        *("chunking_strategy", "chunking_strategy[type]", "include[]", "include", "user"),
        *("known_speaker_names[]", "known_speaker_references[]", "vad_filter", "diarize"),
    }
)
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [_FIELD, "model"],
                    "properties": {
                        _FIELD: {"type": "string", "format": "binary"},
                        "model": {"type": "string"},
                        "language": {"type": "string"},
                        "prompt": {"type": "string"},
                        "temperature": {"type": "number", "minimum": 0, "maximum": 1},
                        "response_format": {
                            "type": "string",
                            "enum": list(forms.RESPONSE_FORMATS),
                        },
                        "timestamp_granularities[]": {
                            "type": "array",
                            "items": {"type": "string", "enum": list(_GRANULARITIES)},
                        },
                        "stream": {"type": "boolean"},
                    },
                }
            }
        },
    }
}


class Asked(NamedTuple):
    """What a request asks for.

    Attributes:
        parameters: of the run.
        task: of the run.
        form: of the answer, of `forms.RESPONSE_FORMATS`.
        granularities: what has times in `verbose_json`.
        is_stream: whether text is sent as it comes.
    """

    parameters: dict[str, Any]
    task: Task
    form: str
    granularities: list[str]
    is_stream: bool


@router.get("/models")
def models(services: WithServices, caller: AnyCaller) -> dict[str, Any]:
    """The names of models."""
    names = model_names(services.settings.model)
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/models/{name:path}")
def model(services: WithServices, caller: AnyCaller, name: str) -> dict[str, Any]:
    """One of them."""
    default = services.settings.model
    if model_of(name, default) not in (*MODELS, default):
        raise no_model(name, default)
    return _model(name)


@router.post("/audio/transcriptions", openapi_extra=_UPLOAD)
async def transcriptions(request: Request, services: WithServices, caller: Transcriber) -> Response:
    """What is said, in the language it is said in."""
    return await _answer(request, services, caller, "transcribe")


@router.post("/audio/translations", openapi_extra=_UPLOAD)
async def translations(request: Request, services: WithServices, caller: Transcriber) -> Response:
    """What is said, in English."""
    return await _answer(request, services, caller, "translate")


async def _answer(
    request: Request, services: WithServices, caller: Transcriber, task: Task
) -> Response:
    largest = largest_bytes(services.settings, caller)
    async with receiving(request, services.settings, _FIELD, largest) as form:
        asked = what_is_asked(form, services.settings.model, task)
        file = form.needed_file(_FIELD)
        recording = await run_in_threadpool(_job, services, caller, file, asked)
    if asked.is_stream:
        return StreamingResponse(
            _events(request, services, recording, asked),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
    transcript = await transcript_of_job(request, services, recording)
    headers = {"x-request-id": recording.id}
    if asked.form in forms.PLAIN:
        text = forms.plain(transcript, asked.form)
        return Response(text, media_type=forms.MEDIA_TYPES[asked.form], headers=headers)
    if asked.form == "verbose_json":
        told = forms.verbose(transcript, task, asked.granularities)
    elif asked.form == "diarized_json":
        told = forms.diarized(transcript)
    else:
        told = forms.short(transcript)
    return JSONResponse(told, headers=headers)


def _job(
    services: WithServices, caller: Transcriber, file: UploadedFile, asked: Asked
) -> Recording:
    return job_of_upload(
        services,
        caller,
        file,
        _FIELD,
        "openai",
        asked.parameters,
        reuse=True,
        choose_queue=clip_queue,
    )


async def _events(
    request: Request, services: WithServices, recording: Recording, asked: Asked
) -> AsyncIterator[str]:
    is_first = True
    try:
        async for text in texts_of_job(request, services, recording):
            if text:
                yield forms.delta(text.lstrip() if is_first else text)
                is_first = False
        transcript = await transcript_of_job(request, services, recording)
    except Problem as problem:
        yield forms.failure(openai_error(problem))
        return
    if is_first and transcript.segments:  # there before anybody could read along
        yield forms.delta(forms.text_of(transcript))
    yield forms.done(transcript, asked.form == "diarized_json")


def what_is_asked(form: Form, default_model: str, task: Task) -> Asked:
    """What the fields of a form ask for.

    Raises:
        Problem: 400, a field or its value is unknown; 404, the model is.
    """
    for name in form.fields:
        if name not in _KNOWN and name not in _IGNORED:
            sentence = translated("There is no field {name!r} here.").format(name=name[:80])
            raise Problem(400, sentence, field=name[:80], code="unknown_parameter")
    named = form.first("model")
    model = model_of(named, default_model)
    if model not in (*MODELS, default_model):
        raise no_model(named, default_model)
    response = form.first("response_format")
    response = response or ("diarized_json" if named == DIARIZING else "json")
    if response not in forms.RESPONSE_FORMATS:
        raise _unknown("response_format", response, forms.RESPONSE_FORMATS)
    granularities = [
        *form.fields.get("timestamp_granularities[]", ()),
        *form.fields.get("timestamp_granularities", ()),
    ]
    for one in granularities:
        if one not in _GRANULARITIES:
            raise _unknown("timestamp_granularities[]", one, _GRANULARITIES)
    is_stream = form.first("stream").lower() in ("true", "1")
    parameters: dict[str, Any] = {"model": model, "task": task}
    for field, option in (
        ("language", "language"),
        ("prompt", "initial_prompt"),
        ("temperature", "temperature"),
        ("hotwords", "hotwords"),
    ):
        if form.first(field):
            parameters[option] = form.first(field)
    if "hotwords" in parameters:
        parameters["hotwords"] = [parameters["hotwords"]]
    if "word" in granularities:
        parameters["word_timestamps"] = True
    if response == "diarized_json":
        parameters["speakers"] = "auto"
    if is_stream:
        parameters["chunk_minutes"] = _STREAMING_CHUNK_MINUTES
    try:
        check_task(model, task)
    except OptionError as error:
        raise Problem(400, str(error), field="model", code="model_cannot_translate") from None
    return Asked(parameters, task, response, granularities or ["segment"], is_stream)


def no_model(name: str, default: str) -> Problem:
    """A model that there is not, as OpenAI's API says it."""
    sentence = translated("The model {name!r} does not exist; choose from {names}.")
    names = ", ".join(model_names(default))
    return Problem(
        404,
        sentence.format(name=name[:80], names=names),
        field="model",
        code="model_not_found",
    )


def _unknown(field: str, value: str, known: tuple[str, ...]) -> Problem:
    sentence = translated("{field}: there is no {value!r}; choose from {known}.")
    return Problem(
        400,
        sentence.format(field=field, value=value[:40], known=", ".join(known)),
        field=field,
        code="invalid_value",
    )


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "longscribe"}
