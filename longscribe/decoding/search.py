"""From encoded windows to texts: greedy, sampled, or by beams, many windows side by side.

A row that has finished leaves the batch, so the longest window does not hold up the others; and one
that turns in circles, or that no likely ending could save, is stopped: in openai-whisper it costs
all of its 224 tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from whisper.tokenizer import Tokenizer

from longscribe.decoding.hotwords import Bias, Hotwords
from longscribe.decoding.logits_processors import LogitsProcessors
from longscribe.decoding.tokenizer import as_text
from longscribe.decoding.verbatim import prompt_of
from longscribe.engine.network import Network, Session
from longscribe.options import DecodingOptions

# A text is turning in circles when its end is one and the same sequence, so many times over.
_LONGEST_PERIOD = 32  # tokens
_TURNS = 4
_SHORTEST_CIRCLE = 24  # tokens, all turns together
_LOOK_EVERY = 8  # tokens

# A text is hopeless when as many tokens again, each of them certain, would leave it below the
# threshold of avg_logprob.
_SHORTEST_HOPELESS = 16  # tokens


class Prompt(NamedTuple):
    """The tokens before the first decoded one."""

    tokens: tuple[int, ...]
    start_at: int  # place of <|startoftranscript|>

    @classmethod
    def of(cls, tokenizer: Tokenizer, initial_prompt: str, longest: int) -> "Prompt":
        """The start sequence, after the prompt's last tokens (whisper/decoding.py)."""
        before: list[int] = []
        if initial_prompt:
            words = tokenizer.encode(" " + as_text(initial_prompt.strip(), tokenizer))
            before = [tokenizer.sot_prev, *words[-(longest // 2 - 1) :]]
        return cls((*before, *tokenizer.sot_sequence), len(before))


class Hypothesis(NamedTuple):
    """What a window was decoded to.

    Attributes:
        tokens: with time stamps, without prompt and end.
        avg_logprob: average over the tokens and the end, as in whisper.
        no_speech_prob: probability of no speech at the start.
        stopped: before its end, because it went round in circles or was hopeless.
        temperature: it was decoded at.
    """

    tokens: tuple[int, ...]
    avg_logprob: float
    no_speech_prob: float
    stopped: bool
    temperature: float


@dataclass(slots=True)
class _Row:
    window: int
    tokens: list[int] = field(default_factory=list)
    sum_logprob: float = 0.0
    bonus: float = 0.0  # of hotwords, in the sum
    stopped: bool = False


class Search:
    """The way of decoding that a run's options ask for."""

    def __init__(
        self, network: Network, tokenizer: Tokenizer, options: DecodingOptions, seed: int
    ) -> None:
        self._network = network
        self._options = options
        self._seed = seed
        self._rules = LogitsProcessors.of(tokenizer, options)
        self._hotwords = Hotwords(options.hotwords, tokenizer) if options.hotwords else None
        self._no_speech = tokenizer.no_speech
        prompt = prompt_of(options, tokenizer.language)
        self._prompt = Prompt.of(tokenizer, prompt, network.dims.n_text_ctx)
        self._longest = network.dims.n_text_ctx // 2

    def decode(
        self, windows: Sequence[int], temperature: float, names: Sequence[int]
    ) -> list[Hypothesis]:
        """Decode encoded windows.

        Args:
            windows: places in the network's last `encode`, ascending.
            temperature: 0 for greedy or beam search, else `best_of` candidates are sampled.
            names: a number of each window, that sampling is seeded by: the same window is decoded
                the same, whichever others are beside it.

        Returns:
            the best hypothesis of each window.
        """
        options = self._options
        if temperature == 0 and options.beams > 1:
            return self._beams(windows, options.beams)
        rows_per_window = 1 if temperature == 0 else options.best_of
        session = self._start(windows, rows_per_window)
        candidates = self._grow(session, windows, rows_per_window, temperature, names)
        silence = self._silence(session)
        best = []
        for window, quiet in zip(windows, silence, strict=True):
            scored = [(row.sum_logprob, row) for row in candidates if row.window == window]
            best.append(self._ranked(scored, quiet, temperature))
        return best

    def _start(self, windows: Sequence[int], rows_per_window: int) -> Session:
        prompt = self._prompt
        return self._network.start(windows, prompt.tokens, prompt.start_at, rows_per_window)

    def _silence(self, session: Session) -> list[float]:
        if self._no_speech is None:
            return [math.nan] * len(session.first.at_start)
        probabilities: Tensor = torch.softmax(session.first.at_start, dim=-1)[:, self._no_speech]
        return probabilities.tolist()

    def _grow(
        self,
        session: Session,
        windows: Sequence[int],
        rows_per_window: int,
        temperature: float,
        names: Sequence[int],
    ) -> list[_Row]:
        """Greedy or sampled rows, until all have ended."""
        repeated = [place for place in range(len(windows)) for _ in range(rows_per_window)]
        logits = session.first.logits
        if rows_per_window > 1:
            session.keep(repeated)
            logits = logits[repeated]
        rows = [_Row(windows[place]) for place in repeated]
        generators = {
            window: np.random.default_rng((self._seed, name, round(temperature * 1000)))
            for window, name in zip(windows, names, strict=True)
        }
        finished: list[_Row] = []
        while True:
            array = logits.numpy()
            norms = self._rules.apply(array, [row.tokens for row in rows])
            biases = self._favoured(array, rows)
            uniform = np.asarray([generators[row.window].random() for row in rows], np.float32)
            tokens, log_probabilities = self._rules.pick(array, norms, temperature, uniform)
            going = []
            for place, row in enumerate(rows):
                row.sum_logprob += float(log_probabilities[place])
                row.bonus += biases[place].of(int(tokens[place])) if biases else 0.0
                if tokens[place] == self._rules.end:
                    finished.append(row)
                    continue
                row.tokens.append(int(tokens[place]))
                row.stopped = self._is_looping(row.tokens) or self._is_hopeless(row)
                if row.stopped or len(row.tokens) == self._longest:
                    finished.append(row)
                else:
                    going.append(place)
            if not going:
                return finished
            if len(going) < len(rows):
                session.keep(going)
                rows = [rows[place] for place in going]
            logits = session.step([row.tokens[-1] for row in rows])

    def _favoured(self, logits: npt.NDArray[np.float32], rows: Sequence[_Row]) -> list[Bias]:
        """Add to logits, in place, what makes hotwords likelier; empty where there are none."""
        if self._hotwords is None:
            return []
        biases = [self._hotwords.bias(row.tokens) for row in rows]
        for row, bias in zip(logits, biases, strict=True):
            row[bias.tokens] += bias.bonuses
            if bias.held:
                row -= bias.held
        return biases

    def _beams(self, windows: Sequence[int], beam_size: int) -> list[Hypothesis]:
        """Beam search as in whisper/decoding.py's BeamSearchDecoder; finished windows leave."""
        session = self._start(windows, beam_size)
        silence = self._silence(session)
        most = round(beam_size * (self._options.patience or 1.0))
        ended: dict[int, list[tuple[float, _Row]]] = {window: [] for window in windows}
        rows = [_Row(window) for window in windows]
        logits = session.first.logits
        for length in count(1):
            norms = torch.from_numpy(self._rules.apply(logits.numpy(), [r.tokens for r in rows]))
            biases = self._favoured(logits.numpy(), rows)
            best = torch.topk(logits - norms[:, None], beam_size + 1)
            scores, tokens = best.values.tolist(), best.indices.tolist()
            survivors: list[_Row] = []
            sources: list[int] = []
            for window in dict.fromkeys(row.window for row in rows):
                places = [i for i, row in enumerate(rows) if row.window == window]
                offers = sorted(
                    (
                        (rows[i].sum_logprob + score, i, token)
                        for i in places
                        for score, token in zip(scores[i], tokens[i], strict=True)
                    ),
                    reverse=True,
                )
                candidates: list[tuple[int, _Row]] = []
                for total, i, token in offers:
                    bonus = rows[i].bonus + (biases[i].of(token) if biases else 0.0)
                    if token == self._rules.end:
                        if len(ended[window]) < most:
                            done = _Row(window, rows[i].tokens, total, bonus)
                            ended[window].append((total, done))
                    else:
                        longer = [*rows[i].tokens, token]
                        candidates.append((i, _Row(window, longer, total, bonus)))
                        if len(candidates) == beam_size:
                            break
                stopped = bool(candidates) and (
                    self._is_looping(candidates[0][1].tokens) or self._is_hopeless(candidates[0][1])
                )
                if stopped or length == self._longest or len(ended[window]) >= most:
                    # Not enough ended by themselves: the best of those under way are taken too.
                    missing = max(0, beam_size - len(ended[window]))
                    for _, row in candidates[:missing]:
                        row.stopped = stopped
                        ended[window].append((row.sum_logprob, row))
                else:
                    sources += [i for i, _ in sorted(candidates, key=_row_of)]
                    survivors += [row for _, row in sorted(candidates, key=_row_of)]
            if not survivors:
                break
            session.keep(sources)
            rows = survivors
            logits = session.step([row.tokens[-1] for row in rows])
        return [
            self._ranked(ended[window], quiet, 0.0)
            for window, quiet in zip(windows, silence, strict=True)
        ]

    def _ranked(
        self, candidates: Sequence[tuple[float, _Row]], silence: float, temperature: float
    ) -> Hypothesis:
        """The likeliest candidate by whisper's MaximumLikelihoodRanker."""
        penalty = self._options.length_penalty

        def score(candidate: tuple[float, _Row]) -> float:
            total, row = candidate
            length = max(1, len(row.tokens))
            return float(total / (length if penalty is None else ((5 + length) / 6) ** penalty))

        total, row = max(candidates, key=score)
        return Hypothesis(
            tokens=tuple(row.tokens),
            avg_logprob=(total - row.bonus) / (len(row.tokens) + 1),
            no_speech_prob=silence,
            stopped=row.stopped,
            temperature=temperature,
        )

    def _is_looping(self, tokens: Sequence[int]) -> bool:
        """Whether the text at the end repeats itself; time stamps differ and do not count."""
        if len(tokens) % _LOOK_EVERY or len(tokens) < _SHORTEST_CIRCLE:
            return False
        reach = tokens[-_LONGEST_PERIOD * (_TURNS + 1) :]
        text = [token for token in reach if token < self._rules.begin]
        for period in range(1, _LONGEST_PERIOD + 1):
            span = max(_SHORTEST_CIRCLE, period * _TURNS)
            if span > len(text):
                continue
            if all(text[-i] == text[-i - period] for i in range(1, span - period + 1)):
                return True
        return False

    def _is_hopeless(self, row: _Row) -> bool:
        """Whether it can hardly pass the check of avg_logprob any more."""
        count = len(row.tokens)
        if count % _LOOK_EVERY or count < _SHORTEST_HOPELESS:
            return False
        return (row.sum_logprob - row.bonus) / (2 * count) < self._options.logprob_threshold


def _row_of(candidate: "tuple[int, _Row]") -> int:
    return candidate[0]
