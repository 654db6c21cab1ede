"""Segments made for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from longscribe.transcript import Segment, Transcript


def segment(start: float, end: float, text: str, **values: Any) -> Segment:
    return Segment(
        **{
            "id": 0,
            "seek": 0,
            "start": start,
            "end": end,
            "text": text,
            "tokens": (50364, 2425, 50464),
            "temperature": 0.0,
            "avg_logprob": -0.2,
            "compression_ratio": 1.1,
            "no_speech_prob": 0.01,
            **values,
        }
    )


@dataclass(frozen=True, slots=True)
class SpokenSegment(Segment):
    """A segment that says who speaks, as diarization would leave it."""

    speaker: str | None = None


def with_speakers(said: Transcript, names: Sequence[str | None]) -> Transcript:
    """The transcript with its segments spoken by the names in turn."""
    spoken = tuple(
        SpokenSegment(*(getattr(s, f.name) for f in fields(Segment)), speaker=names[n % len(names)])
        for n, s in enumerate(said.segments)
    )
    return said.model_copy(update={"segments": spoken})


def transcript(*segments: Segment, **values: Any) -> Transcript:
    numbered = tuple(replace(s, id=number) for number, s in enumerate(segments))
    end_s = max((s.end for s in segments), default=0.0)
    return Transcript(
        **{
            "recording": "a.wav",
            "duration_s": end_s,
            "language": "en",
            "segments": numbered,
            **values,
        }
    )
