"""Every window in its own language, where the run does not name one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from whisper.tokenizer import Tokenizer

from longscribe.decoding.spoken_languages import Listener, likeliest, network_listener, units_of
from longscribe.decoding.windows import Piece, Window
from longscribe.engine.network import First
from longscribe.models.weights import ModelSpec
from tests.longscribe.scripted import Deaf

SECOND_APART = [(0.0, 9.0), (10.0, 19.0), (20.0, 29.0)]


class Polyglot(Deaf):
    """A network that hears the language of whatever lies in a stretch of the chunk."""

    def __init__(self, dims: Any, shares: dict[float, dict[int, float]]) -> None:
        super().__init__(dims)
        self.shares = shares
        self.windows: Sequence[Window] = ()

    def hear(self, windows: Sequence[Window]) -> None:
        self.windows = windows

    def start(self, windows: Sequence[int], prompt: Sequence[int], *_: int) -> Any:
        assert len(prompt) == 1
        logits = torch.full((len(windows), self.dims.n_vocab), -1e4)
        for row, place in enumerate(windows):
            start_s = self.windows[place].pieces[0].start_s
            shares = self.shares[max(known for known in self.shares if known <= start_s)]
            for token, share in shares.items():
                logits[row, token] = float(np.log(share))
        return type("session", (), {"first": First(logits, logits)})


def window(*pieces: tuple[float, float]) -> Window:
    return Window(tuple(Piece(*piece) for piece in pieces))


def listener(
    demo: ModelSpec, windows: Sequence[Window], shares: dict[float, dict[int, float]]
) -> Listener:
    network: Any = Polyglot(demo.dims, shares)
    sound = np.asarray([stretch for w in windows for stretch in w.pieces], dtype=np.float64)
    return network_listener(network, network.hear, sound.reshape(-1, 2), 20)


@pytest.mark.parametrize(
    ("shares", "presumed"),
    [
        ([{"en": 0.9, "pt": 0.1}, {"en": 0.75, "pt": 0.25}], "en"),
        ([{"en": 0.6, "gl": 0.4}, {"en": 0.7, "pt": 0.3}], "en"),
        ([{"en": 0.55, "pt": 0.45}, {"en": 0.02, "pt": 0.98}, {"pt": 1.0}], "pt"),
        ([{"en": 0.9, "pt": 0.1}, {"en": 0.1, "pt": 0.9}], None),
    ],
)
def test_a_language_is_presumed_where_windows_agree(
    demo: ModelSpec, tokenizer: Tokenizer, shares: list[dict[str, float]], presumed: str | None
) -> None:
    windows = [window((30.0 * n, 30.0 * n + 28.0)) for n in range(len(shares))]
    tokens = {
        w.pieces[0].start_s: {tokenizer.to_language_token(code): p for code, p in share.items()}
        for w, share in zip(windows, shares, strict=True)
    }
    listening = listener(demo, windows, tokens)
    found = listening.presumed(listening.votes(windows))
    assert (None if found is None else listening.codes[found]) == presumed


@pytest.mark.parametrize(
    ("own", "other", "is_foreign"), [(0.03, 0.97, True), (0.45, 0.55, False), (0.9, 0.1, False)]
)
def test_only_a_sure_vote_makes_a_window_foreign(
    demo: ModelSpec, tokenizer: Tokenizer, own: float, other: float, is_foreign: bool
) -> None:
    en, pt = tokenizer.to_language_token("en"), tokenizer.to_language_token("pt")
    one = window((0.0, 28.0))
    listening = listener(demo, [one], {0.0: {en: own, pt: other}})
    [vote] = listening.votes([one])
    assert listening.is_foreign(vote, list(listening.codes).index("en")) == is_foreign


def test_a_window_in_several_languages_is_cut_at_its_pauses(
    demo: ModelSpec, tokenizer: Tokenizer
) -> None:
    en, pt = tokenizer.to_language_token("en"), tokenizer.to_language_token("pt")
    shares = {0.0: {en: 0.9, pt: 0.1}, 10.0: {en: 0.1, pt: 0.9}, 20.0: {en: 0.9, pt: 0.1}}
    windows = [window(*SECOND_APART), window((30.0, 39.0))]
    spoken = listener(demo, windows, {**shares, 30.0: {pt: 1.0}}).listen(windows)
    assert [one.language for one in spoken] == ["en", "pt", "en", "pt"]
    assert [one.window.pieces[0].start_s for one in spoken] == [0.0, 10.0, 20.0, 30.0]


def test_units_are_cut_at_the_longest_pauses() -> None:
    sound = np.asarray([(0.0, 2.0), (2.3, 6.0), (7.0, 9.0), (9.2, 15.0)])
    units = units_of(window((0.0, 15.0)), sound)
    assert [(u.pieces[0].start_s, u.pieces[-1].end_s) for u in units] == [(0.0, 6.5), (6.5, 15.0)]
    assert sum(unit.duration_s for unit in units) == pytest.approx(15.0)


def test_a_window_without_pauses_is_one_unit() -> None:
    whole = window((0.0, 20.0))
    assert units_of(whole, np.asarray([(0.0, 20.0)])) == [whole]


@pytest.mark.parametrize(
    ("votes", "around", "path"),
    [
        ([(0.9, 0.1), (0.4, 0.6), (0.9, 0.1)], None, [0, 0, 0]),
        ([(0.99, 0.01), (0.001, 0.999), (0.99, 0.01)], None, [0, 1, 0]),
        ([(0.4, 0.6)], 0, [0]),
        ([(0.001, 0.999)], 0, [1]),
        ([(0.3, 0.7), (0.3, 0.7)], None, [1, 1]),
    ],
)
def test_another_language_seldom_follows(
    votes: list[tuple[float, float]], around: int | None, path: list[int]
) -> None:
    assert likeliest(np.asarray(votes, np.float32), around) == path


def test_only_the_languages_asked_for_are_heard(demo: ModelSpec, tokenizer: Tokenizer) -> None:
    en, pt, gl = (tokenizer.to_language_token(code) for code in ("en", "pt", "gl"))
    one = window((0.0, 28.0))
    network: Any = Polyglot(demo.dims, {0.0: {gl: 0.9, pt: 0.08, en: 0.02}})
    listening = network_listener(network, network.hear, np.asarray([(0.0, 28.0)]), 20, ("en", "pt"))
    [vote] = listening.votes([one])
    found = dict(zip(listening.codes, vote.tolist(), strict=True))
    assert found == {"en": pytest.approx(0.2), "pt": pytest.approx(0.8)}
