"""A chunk heard faster than it was spoken, and again at its own tempo where that is too fast.

A faster tempo costs words where the model is unsure anyway: a small one, a language that it knows
little of, an accent, a bad line. There it hears the same sound again as it was recorded.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from longscribe.audio.voice_activity import Spans, clip_spans
from longscribe.decoding.batched import Batched
from longscribe.decoding.windows import Window
from longscribe.transcript import Segment


class TwoTempos(NamedTuple):
    """What a chunk was decoded to; all times are accelerated seconds from its start.

    Attributes:
        segments: in order.
        language: that most is spoken in.
        language_probability: of it, on the average.
        windows: heard by the model, at both tempos.
        fallbacks: windows whose first text failed.
        windows_again: those heard at the recording's own tempo.
    """

    segments: tuple[Segment, ...]
    language: str
    language_probability: float | None
    windows: int
    fallbacks: int
    windows_again: int = 0


def with_own_tempo(
    first: Batched, again: Callable[[Spans, str], Batched], sound: Spans, scale: float
) -> TwoTempos:
    """A first hearing, and a second one of what the model was unsure of.

    Args:
        first: of the accelerated samples.
        again: hears stretches of the samples at their own tempo, in seconds of those; it is told
            which language to presume, or "".
        sound: the chunk's stretches of sound in accelerated seconds, shape (n, 2).
        scale: own seconds in an accelerated one.
    """
    if not first.unsure:
        return TwoTempos(*first[:5])
    second = again(_stretches(first.unsure, sound) * scale, first.presumed)
    slowed = (_at_scale(segment, 1 / scale) for segment in second.segments)
    segments = tuple(sorted((*first.segments, *slowed), key=lambda segment: segment.start))
    spoken_s: dict[str, float] = {}
    for segment in segments:
        code = segment.language or ""
        spoken_s[code] = spoken_s.get(code, 0.0) + segment.end - segment.start
    language = max(spoken_s, key=spoken_s.__getitem__, default=second.language)
    main = [one for one in segments if one.language == language]
    probabilities = [p for one in main if (p := one.language_probability) is not None]
    return TwoTempos(
        segments,
        language,
        float(np.mean(probabilities)) if probabilities else None,
        first.windows + second.windows,
        first.fallbacks + second.fallbacks,
        second.windows,
    )


def _stretches(windows: Sequence[Window], sound: Spans) -> Spans:
    """The sound within windows; what touches is one stretch, as it was before it was cut."""
    parts = [
        span
        for piece in sorted(piece for window in windows for piece in window.pieces)
        for span in clip_spans(sound, piece.start_s, piece.end_s).tolist()
    ]
    joined: list[list[float]] = []
    for start_s, end_s in parts:
        if joined and start_s <= joined[-1][1]:
            joined[-1][1] = end_s
        else:
            joined.append([start_s, end_s])
    return np.asarray(joined, np.float64).reshape(-1, 2)


def _at_scale(segment: Segment, scale: float) -> Segment:
    words = segment.words and tuple(
        replace(word, start=word.start * scale, end=word.end * scale) for word in segment.words
    )
    return replace(
        segment,
        start=segment.start * scale,
        end=segment.end * scale,
        seek=round(segment.seek * scale),
        words=words,
    )
