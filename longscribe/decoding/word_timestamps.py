"""When each word is spoken: cross-attention aligned to the text by dynamic time warping.

The method is openai-whisper's (whisper/timing.py, `find_alignment`), over whichever network the
text was decoded with.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numba import prange
from whisper.timing import WordTiming, merge_punctuations
from whisper.tokenizer import Tokenizer

from longscribe.engine.kernels import compiled, compiled_in_order
from longscribe.engine.network import Heads, Network

AlignmentHeads = Heads

_POSITIONS_PER_S = 50
_MEDIAN_WIDTH = 7
# whisper/transcribe.py's defaults
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
_LONGEST_OF_MEDIAN = 2.0  # words at a sentence's edge tend to swallow the pause beside them
_MEDIAN_AT_MOST_S = 0.7
_SENTENCE_ENDS = ".。!！?？"


class TimedWord(NamedTuple):
    """A word, its times in the window, and how many tokens of the text it is made of."""

    word: str
    start_s: float
    end_s: float
    probability: float
    tokens: int


def time_words(
    network: Network,
    tokenizer: Tokenizer,
    heads: AlignmentHeads,
    window: int,
    text_tokens: Sequence[int],
    duration_s: float,
    *,
    with_probabilities: bool = True,
) -> list[TimedWord]:
    """Words of a window's text with their times.

    Args:
        network: that has the window encoded.
        tokenizer: of the text.
        heads: the model's alignment heads.
        window: its place in the last `encode`.
        text_tokens: the text, without time stamps; tokens of all words together are these.
        duration_s: of the window's sound.
        with_probabilities: whether those are needed, which is half the work; else they are 0.
    """
    if not text_tokens:
        return []
    before = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    tokens = [*before, *text_tokens, tokenizer.eot]
    scores, logits = network.attention(window, tokens, heads, all_logits=with_probabilities)
    skipped = len(tokenizer.sot_sequence)
    probabilities = [0.0] * len(text_tokens)
    if with_probabilities:
        of_tokens = logits[skipped:, : tokenizer.eot].softmax(dim=-1)
        probabilities = of_tokens[np.arange(len(text_tokens)), list(text_tokens)].tolist()
    weights = torch.from_numpy(scores[:, :, : max(1, round(duration_s * _POSITIONS_PER_S))])
    weights = weights.softmax(dim=-1)
    deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    smooth = smoothed(((weights - mean) / deviation).numpy())
    text_places, time_places = warped(-smooth[skipped:-1])
    words, word_tokens = tokenizer.split_to_word_tokens([*text_tokens, tokenizer.eot])
    if len(word_tokens) <= 1:
        return []
    bounds = np.pad(np.cumsum([len(tokens) for tokens in word_tokens[:-1]]), (1, 0))
    jumps = np.pad(np.diff(text_places), (1, 0), constant_values=1).astype(bool)
    jumps_s = time_places[jumps] / _POSITIONS_PER_S
    starts_s, ends_s = jumps_s[bounds[:-1]], jumps_s[bounds[1:]]
    spoken = zip(
        *(words[:-1], word_tokens[:-1], starts_s.tolist(), ends_s.tolist()),
        itertools.pairwise(bounds),
        strict=True,
    )
    timings = [
        WordTiming(word, tokens, start, end, float(np.mean(probabilities[first:last])))
        for word, tokens, start, end, (first, last) in spoken
    ]
    _shorten(timings)
    merge_punctuations(timings, _PREPENDED, _APPENDED)
    return [
        TimedWord(timing.word, timing.start, timing.end, timing.probability, len(timing.tokens))
        for timing in timings
        if timing.word
    ]


def smoothed(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The average over heads of each head's median of seven positions (whisper's median_filter).

    Args:
        weights: (heads, tokens, positions) float32; fewer than seven positions stay as they are.

    Returns:
        (tokens, positions) float32.
    """
    half = _MEDIAN_WIDTH // 2
    if weights.shape[2] <= half:
        average: npt.NDArray[np.float32] = weights.mean(axis=0)
        return average
    padded = np.pad(weights, ((0, 0), (0, 0), (half, half)), mode="reflect")
    result = np.zeros(weights.shape[1:], np.float32)
    _add_medians(np.ascontiguousarray(padded), result)
    return result / np.float32(len(weights))


@compiled
def _add_medians(padded: Any, result: Any) -> None:
    """Medians of seven by a sorting network, which LLVM vectorizes; a sort took eight times that.

    The network is N. Devillard's opt_med7 (http://ndevilla.free.fr/median/median.pdf).
    """
    for i in prange(result.shape[0]):
        for head in range(padded.shape[0]):
            row = padded[head, i]
            for j in range(result.shape[1]):
                a, b, c, d = row[j], row[j + 1], row[j + 2], row[j + 3]
                e, f, g = row[j + 4], row[j + 5], row[j + 6]
                a, f = min(a, f), max(a, f)
                a, d = min(a, d), max(a, d)
                b, g = min(b, g), max(b, g)
                c, e = min(c, e), max(c, e)
                b = max(a, b)
                d, f = min(d, f), max(d, f)
                c, g = min(c, g), max(c, g)
                d = max(c, d)
                d = min(d, g)
                e = min(e, f)
                b, e = min(b, e), max(b, e)
                d = max(b, d)
                result[i, j] += min(d, e)


def warped(
    costs: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The cheapest way through the costs by dynamic time warping, as whisper's `dtw` finds it.

    Compiled once and kept, as our other kernels are: whisper's took every process ten seconds.

    Args:
        costs: (tokens, positions) float32.

    Returns:
        the token and the position of each step, both rising.
    """
    path = np.empty((2, sum(costs.shape)), np.int64)
    first = _warp(np.ascontiguousarray(costs), path)
    return path[0, first:], path[1, first:]


@compiled_in_order
def _warp(costs: Any, path: Any) -> Any:
    """Write the way into the end of `path`; where in it that begins."""
    rows, columns = costs.shape
    before = np.full(columns + 1, np.inf, np.float32)
    before[0] = 0.0
    came_from = np.empty((rows + 1, columns + 1), np.int8)
    came_from[0, :] = 2
    came_from[:, 0] = 1
    for i in range(rows):
        now = np.full(columns + 1, np.inf, np.float32)
        for j in range(columns):
            both, token, position = before[j], before[j + 1], now[j]
            if both < token and both < position:
                best, way = both, 0
            elif token < both and token < position:
                best, way = token, 1
            else:
                best, way = position, 2
            now[j + 1] = costs[i, j] + best
            came_from[i + 1, j + 1] = way
        before = now
    i, j, place = rows, columns, path.shape[1]
    while i > 0 or j > 0:
        place -= 1
        path[0, place], path[1, place] = i - 1, j - 1
        way = came_from[i, j]
        if way != 2:
            i -= 1
        if way != 1:
            j -= 1
    return place


def _shorten(timings: list[WordTiming]) -> None:
    """Cut words that swallowed a pause at a sentence's edge (whisper, `add_word_timestamps`)."""
    lengths_s = np.array([timing.end - timing.start for timing in timings])
    lengths_s = lengths_s[lengths_s.nonzero()]
    median_s = min(_MEDIAN_AT_MOST_S, float(np.median(lengths_s))) if len(lengths_s) else 0.0
    longest_s = _LONGEST_OF_MEDIAN * median_s
    for before, timing in itertools.pairwise(timings):
        if timing.end - timing.start > longest_s > 0:
            if timing.word in _SENTENCE_ENDS:
                timing.end = timing.start + longest_s
            elif before.word in _SENTENCE_ENDS:
                timing.start = timing.end - longest_s


def taken(words: list[TimedWord], tokens: int) -> tuple[list[TimedWord], list[TimedWord]]:
    """The words of the next so many tokens, and the others."""
    count = 0
    while count < len(words) and tokens > 0:
        tokens -= words[count].tokens
        count += 1
    return words[:count], words[count:]
