"""A window's text as segments: cut at its time stamps, on the chunk's time."""

from collections.abc import Sequence

from whisper.tokenizer import Tokenizer
from whisper.utils import compression_ratio

from longscribe.audio.voice_activity import Spans, overlap_s
from longscribe.decoding.search import Hypothesis
from longscribe.decoding.windows import Window
from longscribe.decoding.word_timestamps import TimedWord, taken
from longscribe.transcript import Segment, Word

STEP_S = 0.02  # of a time stamp

# Sound after a window's last time stamp that is worth another look: less where a segment was
# announced there, more where the text seemed complete.
_REST_ANNOUNCED_S = 0.5
_REST_UNANNOUNCED_S = 3.0


def segments_of(
    window: Window,
    hypothesis: Hypothesis,
    words: Sequence[TimedWord] | None,
    tokenizer: Tokenizer,
    sound: Spans,
) -> tuple[list[Segment], float | None]:
    """The window's segments, and where in it a rest begins that has no text yet.

    Args:
        window: that was heard.
        hypothesis: its text.
        words: of the text, with their times, if they were asked for.
        tokenizer: of the text.
        sound: the chunk's stretches of sound in seconds, shape (n, 2).
    """
    begin = tokenizer.timestamp_begin
    spans: list[tuple[float, float, list[int]]] = []
    start_s, tokens, announced = 0.0, list[int](), False
    for token in hypothesis.tokens:
        if token < begin:
            tokens.append(token)
        elif any(t < tokenizer.eot for t in tokens):
            spans.append((start_s, (token - begin) * STEP_S, [*tokens, token]))
            start_s, tokens, announced = spans[-1][1], [], False
        else:
            start_s, tokens, announced = (token - begin) * STEP_S, [token], True
    if any(t < tokenizer.eot for t in tokens):
        spans.append((start_s, window.duration_s, tokens))
        start_s, announced = window.duration_s, False
    segments = []
    left_words = list(words or ())
    ratio = ratio_of(hypothesis, tokenizer)
    for first_s, last_s, part in spans:
        text_tokens = [token for token in part if token < tokenizer.eot]
        timed = None
        if words is not None:
            timed, left_words = taken(left_words, len(text_tokens))
        from_s = window.to_chunk_s(first_s)
        to_s = max(from_s, window.to_chunk_s(last_s, ends=True))
        text = tokenizer.decode(text_tokens)
        if not text.strip() or overlap_s(sound, from_s, to_s) == 0.0:
            continue  # text over silence
        segments.append(
            Segment(
                id=0,
                seek=round(window.pieces[0].start_s * 100),
                start=from_s,
                end=to_s,
                text=text,
                tokens=tuple(part),
                temperature=hypothesis.temperature,
                avg_logprob=hypothesis.avg_logprob,
                compression_ratio=ratio,
                no_speech_prob=hypothesis.no_speech_prob,
                words=None if timed is None else _in_chunk(timed, window, from_s, to_s),
            )
        )
    return segments, _rest_s(window, start_s, announced, sound)


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
