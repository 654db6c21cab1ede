"""Which token may come next, and which one is taken: whisper/decoding.py's filters in one pass.

openai-whisper applies its filters row by row in Python and reads the vocabulary several times for
each token. Here one kernel applies them all and another picks.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange
from whisper.tokenizer import Tokenizer

from longscribe.engine.kernels import compiled, exp, largest_of
from longscribe.options import DecodingOptions

# Instead of minus infinity, which fast arithmetic does not know.
FORBIDDEN = np.float32(-1e30)

_MAX_INITIAL_TIMESTAMP = 50  # 1.0 s in steps of 20 ms: whisper's max_initial_timestamp

_Integers = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]


class LogitsProcessors(NamedTuple):
    """What a run allows, from its tokenizer and options.

    Attributes:
        suppressed: tokens that are never sampled.
        blank: tokens that are not sampled first.
        begin: the first time stamp, `<|0.00|>`.
        end: `<|endoftext|>`.
        max_initial: the largest first time stamp, in steps of 20 ms.
    """

    suppressed: _Integers
    blank: _Integers
    begin: int
    end: int
    max_initial: int = _MAX_INITIAL_TIMESTAMP

    @classmethod
    def of(cls, tokenizer: Tokenizer, options: DecodingOptions) -> "LogitsProcessors":
        """The rules that whisper.decode would apply (`_get_suppress_tokens`, `SuppressBlank`)."""
        asked = [int(part) for part in options.suppress_tokens.split(",") if part.strip()]
        suppressed = {token for token in asked if token >= 0}
        if -1 in asked:
            suppressed.update(tokenizer.non_speech_tokens)
        special = (
            *(tokenizer.transcribe, tokenizer.translate, tokenizer.sot),
            *(tokenizer.sot_prev, tokenizer.sot_lm, tokenizer.no_speech, tokenizer.no_timestamps),
        )
        suppressed.update(token for token in special if token is not None)
        return cls(
            suppressed=np.asarray(sorted(suppressed)),
            blank=np.asarray([*tokenizer.encode(" "), tokenizer.eot]),
            begin=tokenizer.timestamp_begin,
            end=tokenizer.eot,
        )

    def apply(self, logits: _Floats, sampled: list[list[int]]) -> _Floats:
        """Forbid, in place, what may not come next.

        Args:
            logits: (n, vocabulary).
            sampled: each row's tokens so far, the prompt left out.

        Returns:
            the logarithm of the sum of the exponentials of what is left, (n,).
        """
        stamp, before, last = (np.zeros(len(sampled), np.int64) for _ in range(3))
        for i, tokens in enumerate(sampled):
            stamp[i] = len(tokens) >= 1 and tokens[-1] >= self.begin
            before[i] = len(tokens) < 2 or tokens[-2] >= self.begin
            stamps = (token for token in reversed(tokens) if token >= self.begin)
            last[i] = next(stamps, -1)
        first = not sampled[0]
        norms = np.empty(len(sampled), np.float32)
        _apply(
            *(logits, self.suppressed, self.blank, first, self.begin, self.end, self.max_initial),
            *(stamp, before, last, norms),
        )
        return norms

    def pick(
        self, logits: _Floats, norms: _Floats, temperature: float, uniform: _Floats
    ) -> tuple[_Integers, _Floats]:
        """The next token of every row, and its log probability at temperature 1.

        Args:
            logits: after `apply`.
            norms: from `apply`.
            temperature: 0 takes the most probable, otherwise one is sampled.
            uniform: a random number in [0, 1) for every row.
        """
        tokens = np.empty(len(logits), np.int64)
        log_probabilities = np.empty(len(logits), np.float32)
        _pick(logits, norms, np.float32(temperature), uniform, tokens, log_probabilities)
        return tokens, log_probabilities


@compiled
def _apply(
    logits: Any,
    suppressed: Any,
    blank: Any,
    first: Any,
    begin: Any,
    end: Any,
    max_initial: Any,
    stamp: Any,
    before: Any,
    last: Any,
    norms: Any,
) -> None:
    for i in prange(logits.shape[0]):
        row = logits[i]
        for j in range(suppressed.shape[0]):
            row[suppressed[j]] = FORBIDDEN
        if first:
            row[:begin] = FORBIDDEN
            row[begin + max_initial + 1 :] = FORBIDDEN
            for j in range(blank.shape[0]):
                row[blank[j]] = FORBIDDEN
        elif stamp[i] and before[i]:  # a pair is complete: text must follow
            row[begin:] = FORBIDDEN
        elif stamp[i]:  # a segment has ended: its successor starts, or it was the last
            row[:end] = FORBIDDEN
        if last[i] >= 0:  # time goes forward
            earliest = last[i] if stamp[i] and not before[i] else last[i] + 1
            row[begin:earliest] = FORBIDDEN
        text, stamps = row[:begin], row[begin:]
        best_text = largest_of(text, text.shape[0])
        best = max(best_text, largest_of(stamps, stamps.shape[0]))
        text_sum, stamp_sum = np.float32(0.0), np.float32(0.0)
        for j in range(text.shape[0]):
            text_sum += exp(text[j] - best)
        for j in range(stamps.shape[0]):
            stamp_sum += exp(stamps[j] - best)
        # All time stamps together more probable than any text: then it is a time stamp.
        if np.log(stamp_sum + np.float32(1e-37)) + best > best_text:
            row[:begin] = FORBIDDEN
            norms[i] = np.log(stamp_sum) + best
        else:
            norms[i] = np.log(text_sum + stamp_sum) + best


@compiled
def _pick(
    logits: Any,
    norms: Any,
    temperature: Any,
    uniform: Any,
    tokens: Any,
    log_probabilities: Any,
) -> None:
    for i in prange(logits.shape[0]):
        row = logits[i]
        count = row.shape[0]
        best = largest_of(row, count)
        token = 0
        if temperature == 0:
            while row[token] < best:
                token += 1
        else:
            total = np.float32(0.0)
            for j in range(count):
                total += exp((row[j] - best) / temperature)
            left = uniform[i] * total
            for j in range(count):
                if row[j] > FORBIDDEN:
                    token = j
                    left -= exp((row[j] - best) / temperature)
                    if left < 0:
                        break
        tokens[i] = token
        log_probabilities[i] = row[token] - norms[i]
