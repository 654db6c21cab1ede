"""A chunk decoded in batches of windows, with openai-whisper's quality rules kept.

Speech is packed into windows, which are encoded and decoded side by side. A window whose text fails
upstream's checks (whisper/transcribe.py, `decode_with_fallback`) is decoded again at the next
temperature, together with the others that failed, and after that its pieces are decoded alone, at
the temperatures that are left. Where a window's text ends before its sound does, the rest is
decoded again, as upstream's loop does by starting its next window there.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import whisper
from whisper.tokenizer import Tokenizer

from longscribe.audio.recording import Samples
from longscribe.audio.voice_activity import Spans
from longscribe.decoding.quality import Checks
from longscribe.decoding.search import Hypothesis, Search
from longscribe.decoding.segments import has_inner_pause, runs_past, segments_of
from longscribe.decoding.spoken_languages import Listener, network_listener
from longscribe.decoding.tokenizer import tokenizer_of
from longscribe.decoding.windows import Window, in_batches, pack, pack_whole
from longscribe.decoding.word_timestamps import AlignmentHeads, TimedWord, time_words
from longscribe.engine.network import Network
from longscribe.options import DecodingOptions
from longscribe.transcript import Segment

_REST_ROUNDS = 2  # of sound that a window's text left over

_WORTH_HALVING_S = 10.0

# What is heard faster than it was spoken: a model that is unsure of the first windows, from all
# over the chunk, hears better at the recording's own tempo, and so it does with a single window.
_TRIAL_WINDOWS = 4  # at most, and a quarter of all


class Batched(NamedTuple):
    """What a chunk was decoded to, in seconds from its start, and how.

    Attributes:
        unsure: windows that are to be heard again at the recording's own tempo, without a segment.
        presumed: language of all windows whose own vote says nothing else; empty where there is
            none.
    """

    segments: tuple[Segment, ...]
    language: str
    language_probability: float | None
    windows: int
    fallbacks: int
    unsure: tuple[Window, ...] = ()
    presumed: str = ""


class _Tried(NamedTuple):
    """A window and the texts it was decoded to so far, none of them good enough."""

    window: Window
    attempts: Sequence[Hypothesis]


class _Heard(NamedTuple):
    """A window and its text."""

    window: Window
    hypothesis: Hypothesis
    words: list[TimedWord] | None


def transcribe_batched(
    network: Network,
    alignment_heads: AlignmentHeads,
    samples: Samples,
    sound: Spans,
    options: DecodingOptions,
    *,
    batch_size: int,
    seed: int,
    hears_again: bool = False,
    presumed: str = "",
) -> Batched:
    """Transcribe a chunk.

    Args:
        network: the model; what it encoded before is forgotten.
        alignment_heads: of the model, for word times.
        samples: of the chunk, float32 at 16 kHz.
        sound: the chunk's stretches of sound in seconds, shape (n, 2).
        options: of the run.
        batch_size: windows decoded side by side.
        seed: of sampling at higher temperatures.
        hears_again: whether the caller lets windows that the model is unsure of be heard again:
            they come back, and are not tried at higher temperatures.
        presumed: the language of windows whose own vote says nothing else, where it is known.
    """
    chunk = _Chunk(network, alignment_heads, samples, sound, options, batch_size, seed)
    return chunk.transcribe(hears_again, presumed)


class _Chunk:
    """One chunk on its way through the model."""

    def __init__(
        self,
        network: Network,
        alignment_heads: AlignmentHeads,
        samples: Samples,
        sound: Spans,
        options: DecodingOptions,
        batch_size: int,
        seed: int,
    ) -> None:
        self._network = network
        self._alignment_heads = alignment_heads
        self._samples = samples
        self._sound = sound
        self._options = options
        self._batch_size = batch_size
        self._seed = seed
        self._encoded: Sequence[Window] = ()
        self._windows = self._fallbacks = 0
        self._listener: Listener | None = (
            None  # while windows may turn out to be in another language
        )
        self._presumed = 0
        self._foreign: list[Window] = []
        self._hears_again = False
        self._unsure: list[Window] = []
        self._votes: dict[str, list[float]] = {}  # for the language that windows are decoded in
        self._spoken_s: dict[str, float] = {}

    def transcribe(self, hears_again: bool, presumed: str) -> Batched:
        """Everything in turn: windows, languages, texts, rests."""
        self._hears_again = hears_again
        windows = pack(self._sound, self._samples)
        told = self._options.told_language if self._network.dims.is_multilingual else "en"
        segments: list[Segment] = []
        if windows and told:
            segments += self._in_language(windows, told)
        elif windows:
            presumed, found = self._in_whatever_is_spoken(windows, presumed)
            segments += found
        segments.sort(key=lambda segment: segment.start)
        main = max(self._spoken_s, key=lambda code: self._spoken_s[code], default="")
        return Batched(
            tuple(segments),
            told or main,
            _mean(self._votes.get(main, [])),
            self._windows,
            self._fallbacks,
            tuple(sorted(self._unsure)),
            presumed,
        )

    def _in_whatever_is_spoken(
        self, windows: Sequence[Window], known: str
    ) -> tuple[str, list[Segment]]:
        """Windows in the language that most of them are in, and those that are not in their own."""
        among = self._options.possible_languages
        listener = network_listener(
            self._network, self._encode, self._sound, self._batch_size, among
        )
        if known:
            presumed: int | None = listener.codes.index(known)
        else:
            presumed = listener.presumed(listener.votes(self._batches(windows)[0]))
        segments: list[Segment] = []
        if presumed is None:
            others = listener.listen(windows)
        else:
            self._listener, self._presumed = listener, presumed
            segments += self._in_language(windows, listener.codes[presumed])
            self._listener = None
            others = [one for w in self._foreign for one in listener.listen([w], presumed)]
        for code in dict.fromkeys(one.language for one in others):
            group = [one for one in others if one.language == code]
            self._votes.setdefault(code, []).extend(one.probability for one in group)
            segments += self._in_language([one.window for one in group], code)
        return "" if presumed is None else listener.codes[presumed], segments

    def _in_language(self, windows: Sequence[Window], language: str) -> list[Segment]:
        """Texts of windows in one language, and of what those left over."""
        self._tokenizer: Tokenizer = tokenizer_of(
            self._network.dims, self._network.added_texts, language, self._options.task
        )
        self._search = Search(self._network, self._tokenizer, self._options, self._seed)
        self._checks = Checks(self._tokenizer, self._options, self._sound)
        segments: list[Segment] = []
        for number in range(1 + _REST_ROUNDS):
            rests: list[Window] = []
            for heard in self._settled(windows, is_first=number == 0):
                spoken_s = self._spoken_s.get(language, 0.0)
                self._spoken_s[language] = spoken_s + heard.window.duration_s
                if self._checks.is_silent(heard.hypothesis):
                    continue
                found, rest_s = segments_of(
                    *(*heard, self._tokenizer, self._sound),
                    keep_words=self._options.word_timestamps,
                )
                segments += found
                if rest_s is not None:
                    rests.append(heard.window.rest(rest_s))
            if not rests:
                break
            windows = pack_whole(sorted(rests))
        probability = _mean(self._votes.get(language, []))
        return [
            replace(segment, language=language, language_probability=probability)
            for segment in segments
        ]

    def _in_another(self, batch: Sequence[Window]) -> set[int]:
        """Which of the windows that are heard now are not in the language presumed of all."""
        if self._listener is None:
            return set()
        votes = self._listener.votes(batch)
        of_presumed = self._votes.setdefault(self._listener.codes[self._presumed], [])
        others = set[int]()
        for place, vote in enumerate(votes):
            if self._listener.is_foreign(vote, self._presumed):
                others.add(place)
                self._foreign.append(batch[place])
            else:
                of_presumed.append(float(vote[self._presumed]))
        return others

    def _encode(self, windows: Sequence[Window]) -> None:
        if list(windows) == list(self._encoded):
            return
        self._network.encode(
            [
                whisper.log_mel_spectrogram(
                    whisper.pad_or_trim(window.samples(self._samples)), self._network.dims.n_mels
                )[:, : window.frames]
                for window in windows
            ]
        )
        self._encoded = windows

    def _batches(self, windows: Sequence[Window], is_first: bool = True) -> list[Sequence[Window]]:
        """The windows in batches, the first of them a trial where they can be heard again."""
        if not (is_first and self._hears_again and len(windows) > 1):
            return list(in_batches(windows, self._batch_size))
        count = min(_TRIAL_WINDOWS, self._batch_size, -(-len(windows) // 4))
        chosen = {(2 * place + 1) * len(windows) // (2 * count) for place in range(count)}
        trial = [windows[place] for place in sorted(chosen)]
        rest = [window for place, window in enumerate(windows) if place not in chosen]
        return [trial, *in_batches(rest, self._batch_size)]

    def _settled(self, windows: Sequence[Window], is_first: bool) -> Iterator[_Heard]:
        """Every window with a text that passed the checks, or the best there is."""
        temperatures = self._options.temperatures
        stubborn: list[_Tried] = []
        for number, batch in enumerate(self._batches(windows, is_first)):
            self._windows += len(batch)
            self._encode(batch)
            others = self._in_another(batch)
            tried = self._tried(batch, temperatures[: 2 - self._hears_again], without=others)
            self._fallbacks += sum(len(attempts) > 1 for attempts in tried)
            if (
                self._hears_again
                and is_first
                and number == 0
                and self._checks.are_unsure(batch, tried)
            ):
                self._unsure += [window for window in windows if window not in self._foreign]
                return
            for place, (window, attempts) in enumerate(zip(batch, tried, strict=True)):
                if place in others:
                    continue
                if self._hears_again and self._checks.is_unsure(window, attempts):
                    self._fallbacks += 1
                    self._unsure.append(window)
                elif self._checks.has_failed(attempts[-1]) and len(temperatures) > 1:
                    stubborn.append(_Tried(window, attempts))
                elif self._checks.is_doubtful(window, attempts[-1]):
                    self._fallbacks += len(attempts) == 1
                    stubborn.append(_Tried(window, attempts))
                else:
                    yield self._heard(place, window, attempts[-1])
        yield from self._in_pieces(stubborn)

    def _in_pieces(self, stubborn: Sequence[_Tried]) -> Iterator[_Heard]:
        """What failed in all of the chunk, piece by piece: what fell back shares its batches."""
        first, left = self._options.temperatures[0], self._options.temperatures[2:]
        while stubborn:
            again: list[_Tried] = []  # at the temperatures that are left
            anew: list[_Tried] = []
            for window, attempts in stubborn:
                # Alone: what was put together from several places may be what confused the model.
                pieces = window.alone()
                if len(pieces) == 1 and not self._checks.has_failed(attempts[-1]):
                    pieces = window.halves(self._sound)
                if len(pieces) == 1:
                    again.append(_Tried(window, attempts))
                else:
                    anew += [_Tried(piece, ()) for piece in pieces]
            stubborn = []
            for group, temperatures in ((again, left), (anew, (first, *left))):
                before = dict(group)
                for batch in in_batches(sorted(before), self._batch_size):
                    tried = self._tried(batch, temperatures)
                    for place, (piece, more) in enumerate(zip(batch, tried, strict=True)):
                        every = [*before[piece], *more]
                        best = every[-1]
                        if self._checks.has_failed(best):
                            best = self._checks.least_bad(every)
                        is_long = piece.duration_s >= _WORTH_HALVING_S
                        if is_long and self._checks.is_doubtful(piece, best):
                            stubborn.append(_Tried(piece, [best]))
                        else:
                            yield self._heard(place, piece, best)

    def _tried(
        self,
        batch: Sequence[Window],
        temperatures: Sequence[float],
        without: Collection[int] = (),
    ) -> list[list[Hypothesis]]:
        """Decode a batch at one temperature after the other, as long as windows fail."""
        self._encode(batch)
        attempts: list[list[Hypothesis]] = [[] for _ in batch]
        left = [place for place in range(len(batch)) if place not in without]
        for temperature in temperatures:
            if not left:
                break
            names = [round(1000 * batch[place].pieces[0].start_s) for place in left]
            for place, hypothesis in zip(
                left, self._search.decode(left, temperature, names), strict=True
            ):
                past = runs_past(batch[place], hypothesis, self._tokenizer)
                attempts[place].append(hypothesis._replace(stopped=hypothesis.stopped or past))
            left = [place for place in left if self._checks.has_failed(attempts[place][-1])]
        return attempts

    def _heard(self, place: int, window: Window, hypothesis: Hypothesis) -> _Heard:
        words = None
        if not self._checks.is_silent(hypothesis) and (
            self._options.word_timestamps
            or has_inner_pause(window, hypothesis, self._tokenizer, self._sound)
        ):
            words = time_words(
                self._network,
                self._tokenizer,
                self._alignment_heads,
                place,
                [token for token in hypothesis.tokens if token < self._tokenizer.eot],
                window.duration_s,
                with_probabilities=self._options.word_timestamps,
            )
        return _Heard(window, hypothesis, words)


def _mean(probabilities: Sequence[float]) -> float | None:
    return sum(probabilities) / len(probabilities) if probabilities else None
