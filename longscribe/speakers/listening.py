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
)

_BATCH_WINDOWS: Final = 8
_LEAST_ALONE: Final = 50  # features of 10 ms
_MOST_ALONE: Final = 400
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
            alone = [
                (
                    len(activities) + n,
                    voice,
                    _alone(activity[n], voice, at // HOP_SAMPLES, features),
                )
                for n, at in enumerate(places)
                for voice in range(LOCAL_VOICES)
            ]
            found = [one for one in alone if len(one[2]) >= _LEAST_ALONE]
            activities.extend(activity)
            voices += [(window, voice) for window, voice, _ in found]
            alone_s += [
                round(len(frames) * HOP_SAMPLES / SAMPLE_RATE_HZ, 2) for *_, frames in found
            ]
            embeddings.append(self._embedded([frames for *_, frames in found]))
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
        pieces = [features[at : at + _MOST_ALONE] for at in range(0, len(features), _MOST_ALONE)]
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


def _alone(
    activity: Activity, voice: int, first: int, features: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The features of the moments in which a window's voice is heard alone, the longest first
    taken, in their order.

    Args:
        activity: of the window, shape (589, 3).
        voice: which of the three.
        first: the window's first feature.
        features: shape (n, 80).
    """
    count = (WINDOW_SAMPLES - FEATURE_SAMPLES) // HOP_SAMPLES + 1
    middles = np.arange(count) * HOP_SAMPLES + FEATURE_SAMPLES // 2
    frames = np.clip(
        (middles - FRAME_CENTRE_SAMPLES + FRAME_SAMPLES // 2) // FRAME_SAMPLES, 0, None
    )
    mask = (activity[:, voice] & (activity.sum(1) == 1))[np.minimum(frames, WINDOW_FRAMES - 1)]
    mask = mask[: len(features) - first]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    runs = edges.reshape(-1, 2)
    taken, left = [], _MOST_ALONE
    for start, stop in sorted(runs.tolist(), key=lambda run: run[0] - run[1]):
        if left <= 0:
            break
        taken.append((start, min(stop, start + left)))
        left -= stop - start
    parts = [features[first + start : first + stop] for start, stop in sorted(taken)]
    return np.concatenate(parts) if parts else features[:0]
