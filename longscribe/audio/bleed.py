"""Bleed: what one microphone hears of the person at another, found by the levels of both.

While one person speaks alone, the other channel is as loud as the bleed is; from that the bleed's
gain is known, whatever the gains of the microphones. A moment at which a channel is no louder than
another explains is that other's: it is muted before anything listens to it, so that nothing is
transcribed twice. Where both speak, the channel is louder than the bleed, and stays.

Own code: what libraries have are gates by level alone, and separation by networks that cost more
than transcribing.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from longscribe.audio.voice_activity import HOP_S, Spans

Levels = npt.NDArray[np.float32]  # of every 20 ms, in dB, shape (n,)

_SILENT_DB: Final = -120.0
_AUDIBLE_DB: Final = -70.0  # below it a channel is no source of anything
_SMOOTH_FRAMES: Final = 5  # 0.1 s
# How far sound reaches another microphone late, or early where clocks differ a little.
_REACH_FRAMES: Final = 2

_LOUD_PERCENTILE: Final = 50.0  # of what is audible: somebody speaks into this microphone
_ALONE_PERCENTILE: Final = 25.0  # of the other's level then: it does not speak, as mostly
_MARGIN_DB: Final = 6.0
# Two microphones with less than this between a voice at its own and at the other's have one source.
_APART_DB: Final = 3.0
_ALIKE_DB: Final = 1.5  # and channels that differ by no more hold the same sound

_SHORTEST_OWN_FRAMES: Final = 4  # of a word: 80 ms
_KEPT_AROUND_FRAMES: Final = 3  # soft beginnings and endings of what is its own
_SHORTEST_MUTED_FRAMES: Final = 8

# Clocks of two recorders drift apart: their lag is looked for in every block anew.
_BLOCK_FRAMES: Final = 15_000  # five minutes
_LAG_FRAMES: Final = 150  # 3 s: ten hours at 80 parts in a million
_LAG_IN_A_FILE_FRAMES: Final = 15  # an echo of a telephone line: 0.3 s
_SLOW_FRAMES: Final = 51
_SAME_SOUND: Final = 0.15  # correlation of syllables; of independent speech it is below 0.05


def bleed_spans(levels: Sequence[Levels], files: Sequence[int]) -> list[Spans]:
    """The stretches of each channel in which another one is heard and nothing of its own.

    Args:
        levels: of the channels, from `levels_db`, before any gain was given.
        files: for each channel the number of the file that it is in; a file has one clock.

    Returns:
        seconds, shape (n, 2), for each channel.
    """
    length = max(map(len, levels), default=0)
    smooth = [_smoothed(one, length) for one in levels]
    muted = [np.zeros(length, bool) for _ in levels]
    for source, other in combinations(range(len(levels)), 2):
        reach = _LAG_IN_A_FILE_FRAMES if files[source] == files[other] else _LAG_FRAMES
        lags = _lags(smooth[source], smooth[other], reach)
        forth = _explained(smooth[source], lags)
        back = _explained(smooth[other], [-lag for lag in lags])
        gain_db, loud = _bleed_db(smooth[source], forth, smooth[other])
        back_db, back_loud = _bleed_db(smooth[other], back, smooth[source])
        if gain_db is None or back_db is None:
            continue  # one of the two is silent, and neither in the other
        apart_db = -(gain_db + back_db) / 2
        margin_db = min(_MARGIN_DB, apart_db) if apart_db >= _APART_DB else _MARGIN_DB
        weaker_is_other = gain_db < back_db
        if apart_db >= _APART_DB or weaker_is_other:
            muted[other] |= (smooth[other] <= forth + (gain_db + margin_db)) & loud
        if apart_db >= _APART_DB or not weaker_is_other:
            muted[source] |= (smooth[source] <= back + (back_db + margin_db)) & back_loud
    return [_spans(one, len(given)) for one, given in zip(muted, levels, strict=True)]


def are_alike(levels: Sequence[Levels]) -> bool:
    """Whether all channels hold the same sound, as a mono recording saved with two channels.

    Args:
        levels: of at least two channels, as in `bleed_spans`.
    """
    length = max(map(len, levels), default=0)
    first, *others = (_smoothed(one, length) for one in levels)
    audible = first > _AUDIBLE_DB
    if not audible.any():
        return False
    return all(
        float(np.percentile(np.abs(first[audible] - one[audible]), 99.0)) < _ALIKE_DB
        for one in others
    )


def _smoothed(levels: Levels, length: int) -> Levels:
    """Means over a tenth of a second, padded with silence to a length."""
    padded = np.full(length, _SILENT_DB, np.float32)
    padded[: len(levels)] = levels
    return _mean_around(padded, _SMOOTH_FRAMES)


def _mean_around(values: Levels, width: int) -> Levels:
    half = width // 2
    sums = np.cumsum(np.pad(values.astype(np.float64), (half + 1, half), mode="edge"))
    return ((sums[width:] - sums[:-width]) / width).astype(np.float32)


def _lags(source: Levels, other: Levels, reach: int) -> list[int]:
    """By how many frames the other hears the source late, for each block; 0 if it does not."""
    lags = []
    last = 0
    for first in range(0, len(source), _BLOCK_FRAMES):
        a, b = (_syllables(one[first : first + _BLOCK_FRAMES]) for one in (source, other))
        size = 1 << (len(a) + reach).bit_length()
        products = np.fft.irfft(np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size), size)
        around = np.concatenate([products[-reach:], products[: reach + 1]])
        best = int(np.argmax(around))
        scale = float(np.sqrt(np.sum(a**2) * np.sum(b**2))) or 1.0
        if around[best] / scale >= _SAME_SOUND:
            last = best - reach
        lags.append(last)
    return lags


def _syllables(levels: Levels) -> Levels:
    """What changes within a second: who speaks when is left out."""
    heard = np.maximum(levels, _AUDIBLE_DB)
    return heard - _mean_around(heard, min(_SLOW_FRAMES, len(heard) // 2 * 2 - 1 or 1))


def _explained(source: Levels, lags: Sequence[int]) -> Levels:
    """The source's level as it reaches the other, the loudest within reach."""
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(source, _REACH_FRAMES, constant_values=_SILENT_DB), 2 * _REACH_FRAMES + 1
    ).max(axis=1)
    return _shifted(around, lags, _SILENT_DB)


def _shifted(values: Levels, lags: Sequence[int], filling: float) -> Levels:
    if not any(lags):
        return values
    moved = np.full_like(values, filling)
    for number, lag in enumerate(lags):
        start, stop = number * _BLOCK_FRAMES, min((number + 1) * _BLOCK_FRAMES, len(values))
        low, high = max(0, start - lag), min(len(values), stop - lag)
        if high > low:
            moved[low + lag : high + lag] = values[low:high]
    return moved


def _bleed_db(
    source: Levels, explained: Levels, other: Levels
) -> tuple[float | None, npt.NDArray[np.bool_]]:
    """How loud the source is in the other, in dB beside its own level, and when it is heard."""
    audible = source > _AUDIBLE_DB
    if not audible.any():
        return None, audible
    loud_db, soft_db = np.percentile(source[audible], [_LOUD_PERCENTILE, 10.0])
    loud = explained >= loud_db
    if not loud.any():
        return None, audible
    gain_db = float(np.percentile(other[loud] - explained[loud], _ALONE_PERCENTILE))
    return gain_db, explained >= soft_db


def _spans(muted: npt.NDArray[np.bool_], length: int) -> Spans:
    """What is to be muted, without what is too short to be told."""
    own = ~muted[:length]
    own = _without_short(own, _SHORTEST_OWN_FRAMES)
    own = _widened(own, _KEPT_AROUND_FRAMES)
    runs = _runs(~own)
    runs = runs[runs[:, 1] - runs[:, 0] >= _SHORTEST_MUTED_FRAMES]
    return runs.astype(np.float64) * HOP_S


def _without_short(flags: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.bool_]:
    kept = flags.copy()
    for start, stop in _runs(flags):
        if stop - start < shortest:
            kept[start:stop] = False
    return kept


def _widened(flags: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    counts = np.convolve(flags.astype(np.int8), np.ones(2 * by + 1, np.int8), mode="same")
    return counts[: len(flags)] > 0


def _runs(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Start and stop index of every run of True; shape (n, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)
