"""What a worker does: the voices in ten minutes of sound, before anybody knows whose they are.

In each window the segmentation network tells voices apart, and the embedding network says what each
sounds like, by the moments in which it is heard alone.
"""

import base64
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import SAMPLE_RATE_HZ, read_samples, to_float
from longscribe.speakers.embedding import EmbeddingNetwork, of_length
from longscribe.speakers.features import FRAME_SAMPLES as FEATURE_SAMPLES
from longscribe.speakers.features import HOP_SAMPLES, log_mel
from longscribe.speakers.segmentation import SegmentationNetwork
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.weights import SpeakerWeights
from longscribe.speakers.windows import (
    EMBEDDING_SIZE,
    FRAME_CENTRE_SAMPLES,
    FRAME_SAMPLES,
    LOCAL_VOICES,
    STEP_SAMPLES,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    Activity,
    Embeddings,
    Features,
)

_BATCH_WINDOWS: Final = 8
_LEAST: Final = 30  # features of 10 ms
_LEAST_ALONE: Final = 50
_MOST: Final = 400
_LENGTHS: Final = (100, 200, 300, 400)


@lru_cache(maxsize=1)
def listener(weights: SpeakerWeights) -> "Listener":
    """The networks of this process, loaded once.

    Raises:
        ModelError: one is damaged.
    """
    return Listener(weights.segmentation, weights.embedding)


class Listener:
    """Both networks, which hear spans.

    Args:
        segmentation: path of that network's weights.
        embedding: of the other's.

    Raises:
        ModelError: one is damaged.
    """

    def __init__(self, segmentation: Path, embedding: Path) -> None:
        self._segmentation = SegmentationNetwork(segmentation)
        self._embedding = EmbeddingNetwork(embedding)

    def listen(self, span: Span, on_progress: Callable[[], None] = lambda: None) -> SpanVoices:
        """Hear a span; `on_progress` is called every few windows."""
        activities: list[Activity] = []
        voices: list[tuple[int, int]] = []
        alone_s: list[float] = []
        embeddings: list[Embeddings] = []
        for run in _runs(span.windows):
            start = run[0] * STEP_SAMPLES
            samples = _samples(span, start, run[-1] * STEP_SAMPLES + WINDOW_SAMPLES)
            places = [(number - run[0]) * STEP_SAMPLES for number in run]
            windows = np.stack([samples[at : at + WINDOW_SAMPLES] for at in places])
            activity = self._segmentation.activity(windows)
            features = log_mel(samples)
            found: list[Features] = []
            for n, at in enumerate(places):
                for voice in range(LOCAL_VOICES):
                    moments, seconds = _moments(activity[n], voice, at // HOP_SAMPLES, features)
                    if len(moments) >= _LEAST:
                        voices.append((len(activities) + n, voice))
                        alone_s.append(seconds)
                        found.append(moments)
            activities.extend(activity)
            embeddings.append(self._embedded(found))
            on_progress()
        together = np.concatenate(embeddings)
        return SpanVoices(
            windows=tuple(number - span.windows[0] for number in span.windows),
            activity=base64.b64encode(np.packbits(np.stack(activities)).tobytes()).decode(),
            voices=tuple(voices),
            alone_s=tuple(alone_s),
            embeddings=base64.b64encode(together.astype("<f2").tobytes()).decode(),
        )

    def voice(self, samples: npt.NDArray[np.float32]) -> Embeddings:
        """What the voices in samples of one person sound like, shape (n, 192)."""
        features = log_mel(samples)
        pieces = [features[at : at + _MOST] for at in range(0, len(features), _MOST)]
        return self._embedded([piece for piece in pieces if len(piece) >= _LEAST_ALONE])

    def _embedded(self, features: list[npt.NDArray[np.float32]]) -> Embeddings:
        result = np.empty((len(features), EMBEDDING_SIZE), np.float32)
        for length in _LENGTHS:
            which = [n for n, one in enumerate(features) if length - 100 < len(one) <= length]
            if which:
                batch = of_length([features[n] for n in which], length)
                result[which] = self._embedding.embeddings(batch)
        return result


def _runs(windows: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Windows that follow one another, a few at a time."""
    run: list[int] = []
    for number in windows:
        if run and (number != run[-1] + 1 or len(run) == _BATCH_WINDOWS):
            yield tuple(run)
            run = []
        run.append(number)
    if run:
        yield tuple(run)


def _samples(span: Span, start: int, stop: int) -> npt.NDArray[np.float32]:
    """Samples of a span, with silence after the recording's end."""
    result = np.zeros(stop - start, np.float32)
    heard = to_float(read_samples(span.pcm_path, start, min(stop, span.samples)))
    result[: len(heard)] = heard
    return result


def _moments(
    activity: Activity, voice: int, first: int, features: Features
) -> tuple[Features, float]:
    """The moments by which a window's voice is known, in their order: those in which it is heard
    alone, the longest first taken; or all, where it hardly ever is.

    Args:
        activity: of the window, shape (589, 3).
        voice: which of the three.
        first: the window's first feature.
        features: shape (n, 80).

    Returns:
        features, and the seconds of them in which it is alone.
    """
    count = (WINDOW_SAMPLES - FEATURE_SAMPLES) // HOP_SAMPLES + 1
    middles = np.arange(count) * HOP_SAMPLES + FEATURE_SAMPLES // 2 - FRAME_CENTRE_SAMPLES
    frames = np.clip((middles + FRAME_SAMPLES // 2) // FRAME_SAMPLES, 0, WINDOW_FRAMES - 1)
    frames = frames[: len(features) - first]
    active = activity[frames, voice]
    alone = active & (activity[frames].sum(1) == 1)
    is_alone = int(alone.sum()) >= _LEAST_ALONE
    runs = np.flatnonzero(np.diff(alone if is_alone else active, prepend=False, append=False))
    taken, left = [], _MOST
    for start, stop in sorted(runs.reshape(-1, 2).tolist(), key=lambda run: run[0] - run[1]):
        if left <= 0:
            break
        taken.append((start, min(stop, start + left)))
        left -= stop - start
    parts = [features[first + start : first + stop] for start, stop in sorted(taken)]
    found = np.concatenate(parts) if parts else features[:0]
    return found, round(len(found) * HOP_SAMPLES / SAMPLE_RATE_HZ, 2) if is_alone else 0.0
