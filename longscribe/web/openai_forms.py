"""Transcripts in the forms of OpenAI's audio API."""

import json
from typing import Any, Final

from longscribe.languages import language_name
from longscribe.options import Task
from longscribe.outputs.formats import render
from longscribe.text.words import spoken_words
from longscribe.transcript import Transcript

PLAIN: Final = ("text", "srt", "vtt")
RESPONSE_FORMATS: Final = ("json", *PLAIN, "verbose_json", "diarized_json")
MEDIA_TYPES: Final = {
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def plain(transcript: Transcript, form: str) -> str:
    """A transcript as `text`, `srt` or `vtt`."""
    if form == "text":
        return f"{text_of(transcript)}\n"
    return "".join(render(transcript, "srt" if form == "srt" else "vtt"))


def text_of(transcript: Transcript) -> str:
    """The text without a blank at its beginning."""
    return transcript.text.strip()


def short(transcript: Transcript) -> dict[str, Any]:
    """A transcript as `json`."""
    return {"text": text_of(transcript), "usage": _usage(transcript)}


def verbose(transcript: Transcript, task: Task, granularities: list[str]) -> dict[str, Any]:
    """A transcript as `verbose_json`.

    Args:
        transcript: to be shown.
        task: that was done.
        granularities: `segment`, `word` or both: what has times.
    """
    form: dict[str, Any] = {
        "task": task,
        "language": language_name(transcript.language).lower() if transcript.language else "",
        "duration": transcript.duration_s,
        "text": text_of(transcript),
    }
    if "segment" in granularities:
        form["segments"] = [_segment(segment) for segment in transcript.segments]
    if "word" in granularities:
        form["words"] = [
            {
                "word": word.text.strip(),
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
            }
            for segment in transcript.segments
            for word in spoken_words(segment)
        ]
    return form | {"usage": _usage(transcript)}


def diarized(transcript: Transcript) -> dict[str, Any]:
    """A transcript as `diarized_json`."""
    return {
        "task": "transcribe",
        "duration": transcript.duration_s,
        "text": text_of(transcript),
        "segments": diarized_segments(transcript),
        "usage": _usage(transcript),
    }


def diarized_segments(transcript: Transcript) -> list[dict[str, Any]]:
    """The segments with who speaks; `unknown` where nobody could tell."""
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{segment.id}",
            "start": segment.start,
            "end": segment.end,
            "text": segment.text.strip(),
            "speaker": getattr(segment, "speaker", None) or "unknown",
        }
        for segment in transcript.segments
    ]


def delta(text: str) -> str:
    """The event of a piece of text."""
    return _event({"type": "transcript.text.delta", "delta": text})


def done(transcript: Transcript, with_speakers: bool = False) -> str:
    """The last events: segments where speakers are asked for, and the whole text."""
    segments = diarized_segments(transcript) if with_speakers else []
    last = {
        "type": "transcript.text.done",
        "text": text_of(transcript),
        "usage": _usage(transcript),
    }
    return "".join(map(_event, [*segments, last]))


def failure(error: dict[str, Any]) -> str:
    """The event of an error after the answer began."""
    return _event({"type": "error", **error})


def _segment(segment: Any) -> dict[str, Any]:
    form = {
        "id": segment.id,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
    speaker = getattr(segment, "speaker", None)
    return form | {"speaker": speaker} if speaker else form


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(transcript.duration_s, 3)}


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
