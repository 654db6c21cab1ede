"""A chunk's way through `transcribe_batched` with a search that says what a test asks for."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from whisper.audio import N_FRAMES

from longscribe.decoding import batched
from longscribe.decoding.batched import Batched, transcribe_batched
from longscribe.decoding.search import Hypothesis
from longscribe.engine.network import FRAMES_STEP
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from tests.sounds import bursts

BEGIN = 50364  # <|0.00|>
WORDS = tuple(range(1000, 1060))  # a text without repetition, enough for a window

# Three windows of two stretches each: 12.4 s of sound with its edges, and silence between.
STRETCHES = [(1.0 + 16.0 * number, 13.0 + 16.0 * number) for number in range(6)]


def stamp(time_s: float) -> int:
    return BEGIN + round(time_s / 0.02)


def hypothesis(
    *tokens: int, avg_logprob: float = -0.2, no_speech_prob: float = 0.01, stopped: bool = False
) -> Hypothesis:
    return Hypothesis(tokens, avg_logprob, no_speech_prob, stopped, -1.0)


WHOLE = hypothesis(BEGIN, *WORDS)  # to the end of its window, whichever that is
POOR = WHOLE._replace(avg_logprob=-1.5)

Says = Callable[[float, float], Hypothesis]  # start of a window, temperature -> its text


class Deaf:
    """A network that hears nothing and counts what it is given."""

    def __init__(self, dims: Any) -> None:
        self.dims = dims
        self.added_texts: tuple[str, ...] = ()
        self.encoded: list[int] = []

    def encode(self, mels: Sequence[torch.Tensor]) -> None:
        for mel in mels:
            assert len(mel) == self.dims.n_mels
            assert 0 < mel.shape[1] <= N_FRAMES
            assert mel.shape[1] % FRAMES_STEP == 0
        self.encoded.append(len(mels))


class Run:
    """A chunk's way through `transcribe_batched` with a search that follows a script."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        demo: ModelSpec,
        says: Says,
        stretches: Sequence[tuple[float, float]] = STRETCHES,
        batch_size: int = 20,
        hears_again: bool = False,
        **options: Any,
    ) -> None:
        self.calls: list[tuple[float, list[float]]] = []
        run = self

        class Search:
            def __init__(self, *_: Any) -> None:
                pass

            def decode(
                self, windows: Sequence[int], temperature: float, names: Sequence[int]
            ) -> list[Hypothesis]:
                assert list(windows) == sorted(set(windows))
                starts_s = [name / 1000 for name in names]
                run.calls.append((temperature, starts_s))
                return [
                    says(start_s, temperature)._replace(temperature=temperature)
                    for start_s in starts_s
                ]

        monkeypatch.setattr(batched, "Search", Search)
        monkeypatch.setattr(batched, "time_words", lambda *_, **__: [])
        self.network = Deaf(demo.dims)
        end_s = stretches[-1][1] + 1.0
        self.result: Batched = transcribe_batched(
            *(self.network, (), bursts(list(stretches), end_s), np.asarray(stretches)),
            DecodingOptions(language="en", **options),
            batch_size=batch_size,
            seed=0,
            hears_again=hears_again,
        )

    @property
    def texts(self) -> list[tuple[float, float, float]]:
        """Start, end and temperature of every segment."""
        return [
            (pytest.approx(s.start), pytest.approx(s.end), s.temperature)
            for s in self.result.segments
        ]
