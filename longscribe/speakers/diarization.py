"""The whole recording: what is heard where, and who spoke when."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.audio.voice_activity import Spans
from longscribe.options.speakers import VoiceCount
from longscribe.speakers.clustering import people
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.turns import Timed, assigned, turns
from longscribe.speakers.windows import EMBEDDING_SIZE, STEP_SAMPLES, WINDOW_SAMPLES, Embeddings

_SPAN_WINDOWS: Final = 120  # ten minutes


class Diarization(NamedTuple):
    """Who spoke when.

    Attributes:
        turns: (start, end, person), in seconds, sorted.
        people: what each of them sounds like, shape (people, 192), in the order in which they are
            first heard.
    """

    turns: list[Timed]
    people: Embeddings


def spans_of(pcm_path: Path, samples: int, speech: Spans) -> list[Span]:
    """The spans of a recording; windows without speech are in none.

    Args:
        pcm_path: int16 samples at 16 kHz, at the recording's own tempo.
        samples: of the recording.
        speech: in seconds of the recording, shape (n, 2).
    """
    count = 1 + max(0, -(-(samples - WINDOW_SAMPLES) // STEP_SAMPLES))
    is_heard = np.zeros(count, np.bool_)
    for start_s, stop_s in speech:
        first = int((start_s * SAMPLE_RATE_HZ - WINDOW_SAMPLES) // STEP_SAMPLES) + 1
        last = int(stop_s * SAMPLE_RATE_HZ // STEP_SAMPLES)
        is_heard[max(0, first) : last + 1] = True
    heard: list[tuple[int, ...]] = []
    for at in range(0, count, _SPAN_WINDOWS):
        windows = tuple((at + np.flatnonzero(is_heard[at : at + _SPAN_WINDOWS])).tolist())
        if windows:
            heard.append(windows)
    return [
        Span(index=n, count=len(heard), pcm_path=pcm_path, samples=samples, windows=windows)
        for n, windows in enumerate(heard)
    ]


def diarize(
    heard: Sequence[tuple[Span, SpanVoices]], duration_s: float, speech: Spans, count: VoiceCount
) -> Diarization:
    """Find the people in what was heard, and when each of them spoke.

    Args:
        heard: the recording's spans, in order, and what was heard in each.
        duration_s: of the recording.
        speech: where there is any, in seconds, shape (n, 2).
        count: how many people there may be.
    """
    if not heard:
        return Diarization([], np.empty((0, EMBEDDING_SIZE), np.float32))
    embeddings = np.concatenate([span.heard_embeddings() for _, span in heard])
    seconds = np.array([s for _, span in heard for s in span.alone_s], np.float32)
    found = people(embeddings, seconds, count.least, count.most)
    spoken = turns(assigned(heard, found), len(found), duration_s, speech)
    order = list(dict.fromkeys(person for *_, person in spoken))
    renamed = {person: number for number, person in enumerate(order)}
    return Diarization([(a, b, renamed[person]) for a, b, person in spoken], found[order])
