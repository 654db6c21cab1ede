"""A window's text as segments: cut at its time stamps, on the chunk's time."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from whisper.tokenizer import Tokenizer
from whisper.utils import compression_ratio

from longscribe.audio.voice_activity import Spans, clip_spans, overlap_s
from longscribe.decoding.search import Hypothesis
from longscribe.decoding.windows import Window
from longscribe.decoding.word_timestamps import TimedWord, taken
from longscribe.transcript import Segment, Word

STEP_S = 0.02  # of a time stamp

# Sound after a window's last time stamp that is worth another look: less where a segment was
# announced there, more where the text seemed complete.
_REST_ANNOUNCED_S = 0.5
_REST_UNANNOUNCED_S = 3.0

# A segment is cut at a pause, which `sound` has from 0.3 s on, less its edges of 0.2 s: at the end
# of a clause, or at a longer one. The words' times may be off by so much.
_CLAUSE_ENDS = tuple(".?!…,;:—。、，？！；：")
_LONG_S = 0.6
_WORDS_OFF_S = 0.3
_SHORTEST_PART_S = 1.0

_PAST_S = 1.5  # how far past the window's sound a time stamp may be; it hears a second of silence


class _Span(NamedTuple):
    """A part of a window's text: its tokens, from when to when in the window."""

    start_s: float
    end_s: float
    tokens: list[int]


def segments_of(
    window: Window,
    hypothesis: Hypothesis,
    words: Sequence[TimedWord] | None,
    tokenizer: Tokenizer,
    sound: Spans,
    keep_words: bool,
) -> tuple[list[Segment], float | None]:
    """The window's segments, and where in it a rest begins that has no text yet.

    Args:
        window: that was heard.
        hypothesis: its text.
        words: of the text, with their times, where those are known: a segment is cut at a pause in
            it then.
        tokenizer: of the text.
        sound: the chunk's stretches of sound in seconds, shape (n, 2).
        keep_words: whether segments have words.
    """
    spans, start_s, announced = _spans(window, hypothesis, tokenizer)
    segments = []
    left_words = list(words or ())
    ratio = ratio_of(hypothesis, tokenizer)
    for span in spans:
        count = sum(token < tokenizer.eot for token in span.tokens)
        timed, left_words = taken(left_words, count)
        for part, of_part in _cut_at_pauses(span, timed, window, tokenizer, sound):
            from_s, to_s = window.span_in_chunk_s(part.start_s, part.end_s)
            text = tokenizer.decode([token for token in part.tokens if token < tokenizer.eot])
            if not text.strip() or overlap_s(sound, from_s, to_s) == 0.0:
                continue  # text over silence
            segments.append(
                Segment(
                    id=0,
                    seek=round(window.pieces[0].start_s * 100),
                    start=from_s,
                    end=to_s,
                    text=text,
                    tokens=tuple(part.tokens),
                    temperature=hypothesis.temperature,
                    avg_logprob=hypothesis.avg_logprob,
                    compression_ratio=ratio,
                    no_speech_prob=hypothesis.no_speech_prob,
                    words=_in_chunk(of_part, window, from_s, to_s) if keep_words else None,
                )
            )
    return segments, _rest_s(window, start_s, announced, sound)


def has_inner_pause(
    window: Window, hypothesis: Hypothesis, tokenizer: Tokenizer, sound: Spans
) -> bool:
    """Whether somebody pauses in the middle of a segment, so that the words' times are needed."""
    spans, _, _ = _spans(window, hypothesis, tokenizer)
    return any(len(_pauses_in(span, window, sound)) for span in spans)


def runs_past(window: Window, hypothesis: Hypothesis, tokenizer: Tokenizer) -> bool:
    """Whether a text has times where nothing was heard: it says the same again and again."""
    begin = tokenizer.timestamp_begin
    times_s = [(token - begin) * STEP_S for token in hypothesis.tokens if token >= begin]
    return max(times_s, default=0.0) > window.duration_s + _PAST_S


def _spans(
    window: Window, hypothesis: Hypothesis, tokenizer: Tokenizer
) -> tuple[list[_Span], float, bool]:
    """The text between time stamps; the last of them, and whether a segment was announced there."""
    begin = tokenizer.timestamp_begin
    spans: list[_Span] = []
    start_s, tokens, announced = 0.0, list[int](), False
    for token in hypothesis.tokens:
        if token < begin:
            tokens.append(token)
        elif any(t < tokenizer.eot for t in tokens):
            spans.append(_Span(start_s, (token - begin) * STEP_S, [*tokens, token]))
            start_s, tokens, announced = spans[-1].end_s, [], False
        else:
            start_s, tokens, announced = (token - begin) * STEP_S, [token], True
    if any(t < tokenizer.eot for t in tokens):
        spans.append(_Span(start_s, window.duration_s, tokens))
        start_s, announced = window.duration_s, False
    return spans, start_s, announced


def _pauses_in(span: _Span, window: Window, sound: Spans) -> Spans:
    """The pauses in a segment, in seconds of the window, shape (n, 2)."""
    found: list[tuple[float, float]] = []
    offset_s = 0.0
    for piece in window.pieces:
        inside = clip_spans(sound, piece.start_s, piece.end_s)
        for (_, end_s), (start_s, _) in pairwise(inside.tolist()):
            found.append((offset_s + end_s - piece.start_s, offset_s + start_s - piece.start_s))
        offset_s += piece.duration_s
        found.append((offset_s, offset_s))  # what was left out here was a longer one
    return np.asarray(
        [
            (start_s, end_s)
            for start_s, end_s in found
            if span.start_s + _SHORTEST_PART_S <= start_s and end_s <= span.end_s - _SHORTEST_PART_S
        ]
    ).reshape(-1, 2)


def _cut_at_pauses(
    span: _Span,
    words: list[TimedWord],
    window: Window,
    tokenizer: Tokenizer,
    sound: Spans,
) -> Iterator[tuple[_Span, list[TimedWord]]]:
    """A segment in parts, cut where a pause lies between two of its words."""
    start_s, left, left_words = span.start_s, span.tokens, words
    for pause_s, goes_on_s in _pauses_in(span, window, sound).tolist():
        place = _word_after(left_words, pause_s, goes_on_s)
        if place is None or pause_s - start_s < _SHORTEST_PART_S:
            continue
        count = sum(word.tokens for word in left_words[:place])
        texts = [number for number, token in enumerate(left) if token < tokenizer.eot]
        cut = texts[count] if count < len(texts) else len(left)
        yield _Span(start_s, pause_s, left[:cut]), left_words[:place]
        start_s, left, left_words = goes_on_s, left[cut:], left_words[place:]
    yield _Span(start_s, span.end_s, left), left_words


def _word_after(words: list[TimedWord], pause_s: float, goes_on_s: float) -> int | None:
    """The place of the first word after a pause; None where the words' times do not show it."""
    middle_s = (pause_s + goes_on_s) / 2
    reach_s = (goes_on_s - pause_s) / 2 + _WORDS_OFF_S
    costs: dict[int, float] = {}
    for number, (before, after) in enumerate(pairwise(words), start=1):
        off_s = abs((before.end_s + after.start_s) / 2 - middle_s)
        ends_there = before.word.rstrip().endswith(_CLAUSE_ENDS)
        if off_s <= reach_s and (ends_there or goes_on_s - pause_s >= _LONG_S):
            # The end of a clause is the likelier place, unless another is much nearer.
            costs[number] = off_s + (0.0 if ends_there else _WORDS_OFF_S)
    return min(costs, key=costs.__getitem__, default=None)


def ratio_of(hypothesis: Hypothesis, tokenizer: Tokenizer) -> float:
    """How far the text can be compressed: repetitions can."""
    text = tokenizer.decode(list(hypothesis.tokens)).strip()
    return compression_ratio(text) if text else 0.0


def _rest_s(window: Window, start_s: float, announced: bool, sound: Spans) -> float | None:
    if start_s >= window.duration_s:
        return None
    worth_s = _REST_ANNOUNCED_S if announced and start_s > 0 else _REST_UNANNOUNCED_S
    left_s = sum(
        overlap_s(sound, piece.start_s, piece.end_s) for piece in window.rest(start_s).pieces
    )
    return start_s if start_s > 0 and left_s >= worth_s else None


def _in_chunk(
    words: Sequence[TimedWord], window: Window, from_s: float, to_s: float
) -> tuple[Word, ...]:
    """Words on the chunk's time, within their segment."""
    result = []
    for word in words:
        start_s = min(max(window.to_chunk_s(word.start_s), from_s), to_s)
        end_s = min(max(window.to_chunk_s(word.end_s, ends=True), start_s), to_s)
        result.append(Word(word.word, start_s, end_s, word.probability))
    return tuple(result)
