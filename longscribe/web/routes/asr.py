"""whisper-asr-webservice's dialect, which Bazarr speaks: `POST /asr` and `/detect-language`.

https://github.com/ahmetoner/whisper-asr-webservice: everything but the file is in the address.
Bazarr sends raw samples (`encode=false`: 16 kHz mono int16), to which a WAVE header is put here.
"""

import hashlib
import wave
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from longscribe.audio.recording import BYTES_PER_SAMPLE as _SAMPLE_BYTES
from longscribe.audio.recording import SAMPLE_RATE_HZ, decode, probe
from longscribe.errors import InputError
from longscribe.languages import language_name
from longscribe.options import Format, Task
from longscribe.web.arrivals import clip_queue, job_of_upload
from longscribe.web.callers import Transcriber, WithServices
from longscribe.web.jobs import largest_bytes
from longscribe.web.tables import Recording
from longscribe.web.transcripts import MEDIA_TYPES, rendered
from longscribe.web.uploads import UploadedFile, receiving
from longscribe.web.waiting import transcript_of_job

router = APIRouter(tags=["ASR webservice"])
_FIELD: Final = "audio_file"
_RATE_HZ: Final = SAMPLE_RATE_HZ
_BLOCK_BYTES: Final = 1 << 20
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [_FIELD],
                    "properties": {_FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}

Output = Literal["txt", "vtt", "srt", "tsv", "json"]


@router.post("/asr", openapi_extra=_UPLOAD)
async def asr(
    request: Request,
    services: WithServices,
    caller: Transcriber,
    encode: bool = True,
    task: Task = "transcribe",
    language: Annotated[str, Query(max_length=40)] = "",
    initial_prompt: Annotated[str, Query(max_length=4000)] = "",
    word_timestamps: bool = False,
    output: Output = "txt",
) -> Response:
    """The transcript of a recording; `encode=false` where it is raw samples, 16 kHz mono int16."""
    parameters: dict[str, Any] = {"task": task, "word_timestamps": word_timestamps}
    if language:
        parameters["language"] = language
    if initial_prompt:
        parameters["initial_prompt"] = initial_prompt
    recording = await _job(request, services, caller, encode, parameters)
    transcript = await transcript_of_job(request, services, recording)
    format_: Format = output
    return Response(
        await run_in_threadpool(rendered, transcript, format_),
        media_type=MEDIA_TYPES[format_],
        headers={"asr-engine": "longscribe"},
    )


@router.post("/detect-language", openapi_extra=_UPLOAD)
async def detect_language(
    request: Request,
    services: WithServices,
    caller: Transcriber,
    encode: bool = True,
    detect_lang_length: Annotated[float, Query(ge=1, le=600)] = 30.0,
    detect_lang_offset: Annotated[float, Query(ge=0, le=360_000)] = 0.0,
) -> JSONResponse:
    """The language of a recording: that of its part of `detect_lang_length` seconds."""
    cut = (detect_lang_offset, detect_lang_length)
    recording = await _job(request, services, caller, encode, {}, cut)
    transcript = await transcript_of_job(request, services, recording)
    code = transcript.language or "en"
    probabilities = [
        segment.language_probability
        for segment in transcript.segments
        if segment.language == code and segment.language_probability is not None
    ]
    confidence = sum(probabilities) / len(probabilities) if probabilities else 0.0
    told = {
        "detected_language": language_name(code).lower(),
        "language_code": code,
        "confidence": confidence,
    }
    return JSONResponse(told)


async def _job(
    request: Request,
    services: WithServices,
    caller: Transcriber,
    encode: bool,
    parameters: dict[str, Any],
    cut: tuple[float, float] | None = None,
) -> Recording:
    largest = largest_bytes(services.settings, caller)
    async with receiving(request, services.settings, _FIELD, largest) as form:
        file = form.needed_file(_FIELD)
        if not encode:
            file = await run_in_threadpool(_with_header, file, cut)
        elif cut is not None:
            file = await run_in_threadpool(_excerpt, file, cut)
        return await run_in_threadpool(
            job_of_upload,
            services,
            caller,
            file,
            _FIELD,
            "asr",
            parameters,
            reuse=True,
            choose_queue=clip_queue,
        )


def _with_header(file: UploadedFile, cut: tuple[float, float] | None) -> UploadedFile:
    """Raw samples as a WAVE file, whole or a part in seconds."""
    target = file.path.with_name(f"{Path(file.name).stem}.wav.made")
    offset, left = 0, file.size_bytes
    if cut is not None:
        offset = min(left, round(cut[0] * _RATE_HZ) * _SAMPLE_BYTES)
        left = min(left - offset, round(cut[1] * _RATE_HZ) * _SAMPLE_BYTES)
    with file.path.open("rb") as source, _wave(target) as out:
        source.seek(offset)
        while left > 0 and (block := source.read(min(left, _BLOCK_BYTES))):
            out.writeframesraw(block[: len(block) // _SAMPLE_BYTES * _SAMPLE_BYTES])
            left -= len(block)
    return _instead(file, target, f"raw {cut}")


def _excerpt(file: UploadedFile, cut: tuple[float, float]) -> UploadedFile:
    """A part of a recording, in seconds, as a WAVE file.

    The file itself where nobody can hear it, which is refused with a sentence later on.
    """
    target = file.path.with_name(f"{Path(file.name).stem}.wav.made")
    skip, left = (round(seconds * _RATE_HZ) for seconds in cut)
    try:
        with _wave(target) as out:
            for block in decode(probe(file.path)):
                part = block[skip : skip + left]
                skip, left = max(0, skip - len(block)), left - len(part)
                out.writeframesraw(np.clip(part * 32767.0, -32768, 32767).astype("<i2").tobytes())
                if left <= 0:
                    break
    except InputError:
        target.unlink(missing_ok=True)
        return file
    return _instead(file, target, f"part {cut}")


def _wave(path: Path) -> wave.Wave_write:
    out = wave.open(str(path), "wb")  # noqa: SIM115  # the caller's `with` closes it
    out.setnchannels(1)
    out.setsampwidth(_SAMPLE_BYTES)
    out.setframerate(_RATE_HZ)
    return out


def _instead(file: UploadedFile, target: Path, how: str) -> UploadedFile:
    """The file that was made of another, which is gone then."""
    file.path.unlink()
    path = file.path.with_suffix(".wav")
    target.replace(path)
    return file._replace(
        path=path,
        name=path.name,
        size_bytes=path.stat().st_size,
        digest=hashlib.sha256(f"{file.digest} {how}".encode()).hexdigest(),
    )
