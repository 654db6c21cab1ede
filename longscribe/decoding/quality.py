"""Whether a window's text can be trusted: upstream's checks, and some that look at the sound."""

from collections.abc import Sequence
from itertools import pairwise

from whisper.tokenizer import Tokenizer

from longscribe.audio.voice_activity import Spans
from longscribe.decoding.search import Hypothesis
from longscribe.decoding.segments import STEP_S, ratio_of
from longscribe.decoding.windows import Window
from longscribe.options import DecodingOptions

# Upstream's checks look at the text alone. Beside the sound a text is doubtful that leaves much of
# it without a word, even for slow speech, or has one sentence go on over a long silence.
_UNHEARD_S = 10.0
_TOKEN_S = 0.5
_FAR_S = 5.0

# Below these the model would do better with windows at the recording's own tempo.
_SURE_LOGPROB = -0.25  # of several windows on the average
_UNSURE_LOGPROB = -0.5  # of one window


class Checks:
    """The checks of one chunk's texts.

    Args:
        tokenizer: of the texts.
        options: of the run.
        sound: the chunk's stretches of sound in seconds, shape (n, 2).
    """

    def __init__(self, tokenizer: Tokenizer, options: DecodingOptions, sound: Spans) -> None:
        self._tokenizer = tokenizer
        self._options = options
        self._sound = sound

    def is_silent(self, hypothesis: Hypothesis) -> bool:
        """Upstream's `should_skip`: no speech, and a text nobody believes in."""
        return (
            hypothesis.no_speech_prob > self._options.no_speech_threshold
            and hypothesis.avg_logprob < self._options.logprob_threshold
        )

    def has_failed(self, hypothesis: Hypothesis) -> bool:
        """Upstream's `needs_fallback`, and texts that turn in circles."""
        if self.is_silent(hypothesis):
            return False
        return self._repeats(hypothesis) or hypothesis.avg_logprob < self._options.logprob_threshold

    def is_doubtful(self, window: Window, hypothesis: Hypothesis) -> bool:
        """Whether a text that passed upstream's checks contradicts the sound."""
        if self.is_silent(hypothesis) or self.has_failed(hypothesis):
            return False
        begin = self._tokenizer.timestamp_begin
        said = sum(token < self._tokenizer.eot for token in hypothesis.tokens)
        if window.sound_s(self._sound) - said * _TOKEN_S >= _UNHEARD_S:
            return True
        start_s = 0.0
        for before, token in pairwise((begin, *hypothesis.tokens)):
            if token < begin:
                continue
            time_s = (token - begin) * STEP_S
            if before < begin and window.leap_s(start_s, time_s) >= _FAR_S:
                return True
            start_s = time_s
        return False

    def is_unsure(self, window: Window, attempts: Sequence[Hypothesis]) -> bool:
        """Whether the model would do better with a window at its own tempo."""
        if not attempts or self.is_silent(attempts[-1]):
            return False
        if self.has_failed(attempts[-1]) or self.is_doubtful(window, attempts[-1]):
            return True
        return attempts[-1].avg_logprob < _UNSURE_LOGPROB

    def are_unsure(self, windows: Sequence[Window], tried: Sequence[Sequence[Hypothesis]]) -> bool:
        """Whether it would do better with all of a chunk, by several of its windows."""
        heard = [
            (window.duration_s, attempts[-1].avg_logprob)
            for window, attempts in zip(windows, tried, strict=True)
            if attempts and not self.is_silent(attempts[-1])
        ]
        spoken_s = sum(duration_s for duration_s, _ in heard)
        if spoken_s == 0.0:
            return False
        return sum(s * logprob for s, logprob in heard) / spoken_s < _SURE_LOGPROB

    def least_bad(self, attempts: Sequence[Hypothesis]) -> Hypothesis:
        """The best of texts that all failed."""

        def merit(hypothesis: Hypothesis) -> tuple[bool, float]:
            return not self._repeats(hypothesis), hypothesis.avg_logprob

        return max(attempts, key=merit)

    def _repeats(self, hypothesis: Hypothesis) -> bool:
        most = self._options.compression_ratio_threshold
        return hypothesis.stopped or ratio_of(hypothesis, self._tokenizer) > most
