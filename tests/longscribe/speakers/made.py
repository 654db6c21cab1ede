"""Voices made for tests: of known people, in known places, without any network."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.windows import (
    EMBEDDING_SIZE,
    FRAME_CENTRE_SAMPLES,
    FRAME_SAMPLES,
    LOCAL_VOICES,
    STEP_FRAMES,
    WINDOW_FRAMES,
    Embeddings,
)

Said = tuple[float, float, int]  # start, end, person


def voice_of(person: int, chance: np.random.Generator, alike: float = 0.8) -> np.ndarray:
    """What a person sounds like at a moment: about `alike` to how the same sounds at another."""
    own = np.random.default_rng(1000 + person).normal(size=EMBEDDING_SIZE)
    own /= np.linalg.norm(own)
    noise = chance.normal(size=EMBEDDING_SIZE)
    found = np.sqrt(alike) * own + np.sqrt(1 - alike) * noise / np.linalg.norm(noise)
    return found / np.linalg.norm(found)


def heard(said: Sequence[Said], windows: Sequence[int], seed: int = 0) -> tuple[Span, SpanVoices]:
    """What networks that hear everything right would make of windows."""
    chance = np.random.default_rng(seed)
    times_s = (np.arange(WINDOW_FRAMES) * FRAME_SAMPLES + FRAME_CENTRE_SAMPLES) / 16_000
    activity = np.zeros((len(windows), WINDOW_FRAMES, LOCAL_VOICES), np.bool_)
    voices, alone_s, embeddings = [], [], []
    for n, number in enumerate(windows):
        at_s = times_s + number * STEP_FRAMES * FRAME_SAMPLES / 16_000
        people = {}
        for start_s, end_s, person in said:
            active = (at_s >= start_s) & (at_s < end_s)
            if active.any():
                people[person] = people.get(person, False) | active
        for local, active in enumerate(list(people.values())[:LOCAL_VOICES]):
            activity[n, :, local] = active
        for local, person in enumerate(list(people)[:LOCAL_VOICES]):
            alone = activity[n, :, local] & (activity[n].sum(1) == 1)
            seconds = float(alone.sum() * FRAME_SAMPLES / 16_000)
            if seconds >= 0.5:
                voices.append((n, local))
                alone_s.append(min(seconds, 4.0))
                embeddings.append(voice_of(person, chance))
    packed = np.packbits(activity).tobytes()
    together: Embeddings = np.array(embeddings, np.float32).reshape(-1, EMBEDDING_SIZE)
    span = Span(index=0, count=1, pcm_path=Path("no.pcm"), samples=1, windows=tuple(windows))
    return span, SpanVoices(
        windows=tuple(number - windows[0] for number in windows),
        activity=base64.b64encode(packed).decode(),
        voices=tuple(voices),
        alone_s=tuple(alone_s),
        embeddings=base64.b64encode(together.astype("<f2").tobytes()).decode(),
    )
