"""The whole recording: what is heard where, and who spoke when."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.audio.voice_activity import Spans, clip_spans
from longscribe.options.speakers import VoiceCount
from longscribe.speakers.clustering import people
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.turns import Timed, assigned, turns
from longscribe.speakers.windows import EMBEDDING_SIZE, STEP_SAMPLES, WINDOW_SAMPLES, Embeddings

_NEAR_SPEECH_S: Final = 5.0
_SPAN_WINDOWS: Final = 120  # ten minutes


class Diarization(NamedTuple):
    """Who spoke when.

    Attributes:
        turns: (start, end, person), in seconds, sorted.
        people: what each of them sounds like, of length 1, shape (people, numbers), in the order in
            which they are first heard; as many numbers as the embedding network gives.
    """

    turns: list[Timed]
    people: Embeddings


def talk(sound: Spans, speech: Spans) -> Spans:
    """Where somebody may be speaking: sound not far from what surely is speech, shape (n, 2).

    Voices far from the microphone are no speech to the detector; music and noise by themselves are
    nobody's.

    Args:
        sound: in seconds, shape (n, 2).
        speech: likewise.
    """
    near = [clip_spans(sound, a - _NEAR_SPEECH_S, b + _NEAR_SPEECH_S) for a, b in speech]
    joined: list[list[float]] = []
    for start_s, stop_s in np.concatenate([np.empty((0, 2)), *near]).tolist():
        if joined and start_s <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop_s)
        else:
            joined.append([start_s, stop_s])
    return np.asarray(joined, np.float64).reshape(-1, 2)


def spans_of(pcm_path: Path, samples: int, spoken: Spans) -> list[Span]:
    """The spans of a recording; windows without talk are in none.

    Args:
        pcm_path: int16 samples at 16 kHz, at the recording's own tempo.
        samples: of the recording.
        spoken: where somebody may be speaking, in seconds, shape (n, 2).
    """
    count = 1 + max(0, -(-(samples - WINDOW_SAMPLES) // STEP_SAMPLES))
    is_heard = np.zeros(count, np.bool_)
    for start_s, stop_s in spoken:
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
    heard: Sequence[tuple[Span, SpanVoices]], duration_s: float, spoken: Spans, count: VoiceCount
) -> Diarization:
    """Find the people in what was heard, and when each of them spoke.

    Args:
        heard: the recording's spans, in order, and what was heard in each.
        duration_s: of the recording.
        spoken: where somebody may be speaking, in seconds, shape (n, 2).
        count: how many people there may be.
    """
    if not heard:
        return Diarization([], np.empty((0, EMBEDDING_SIZE), np.float32))
    embeddings = np.concatenate([span.heard_embeddings() for _, span in heard])
    seconds = np.array([s for _, span in heard for s in span.alone_s], np.float32)
    found = people(embeddings, seconds, count.least, count.most)
    told = turns(assigned(heard, found), len(found), duration_s, spoken)
    order = list(dict.fromkeys(person for *_, person in told))
    renamed = {person: number for number, person in enumerate(order)}
    return Diarization([(a, b, renamed[person]) for a, b, person in told], found[order])
