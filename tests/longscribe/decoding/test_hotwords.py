"""Words that were named: likelier where they are half heard, and nowhere else."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from whisper.tokenizer import Tokenizer

from longscribe.decoding import hotwords as module
from longscribe.decoding.hotwords import Hotwords
from longscribe.decoding.search import Hypothesis, Search
from longscribe.decoding.sequential import transcribe_sequentially
from longscribe.engine.network import First
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from tests.recordings import beginning, sound_in
from tests.sounds import RATE_HZ

NAME = "Pannartz"


def token(tokenizer: Tokenizer, text: str) -> int:
    (only,) = tokenizer.encode(text)
    return only


def raised(tokenizer: Tokenizer, words: Sequence[str], said: str) -> dict[str, float]:
    """Texts of tokens and what they gain after what was said."""
    bias = Hotwords(words, tokenizer).bias([tokenizer.timestamp_begin, *tokenizer.encode(said)])
    assert (bias.bonuses > 0).all()
    return {tokenizer.decode([one]): bias.of(one) for one in bias.tokens.tolist()}


def test_tokens_that_begin_a_word_and_those_that_go_on(tokenizer: Tokenizer) -> None:
    at_start = raised(tokenizer, [NAME], " He met")
    # One letter may begin anything.
    assert {" Pa", " Pan"} <= set(at_start) <= {" Pa", " Pan", " Pann"}
    assert at_start[" Pa"] < at_start[" Pan"]
    later = raised(tokenizer, [NAME], " He met Pan")
    assert {"n", "nar"} & set(later)
    assert later["n"] > 0
    assert "g" not in later  # goes on with no word


def test_any_pieces_will_do(tokenizer: Tokenizer) -> None:
    """A name is heard in the pieces that the model chooses, not in those of the tokenizer."""
    hotwords = Hotwords([NAME], tokenizer)
    usual = tokenizer.encode(f" {NAME}")
    others = [token(tokenizer, part) for part in (" P", "ann", "art")]
    assert usual[: len(others)] != others
    bias = hotwords.bias(others)
    assert bias.of(token(tokenizer, "z")) > 0
    assert bias.held > 0


def test_scripts_without_spaces(tokenizer: Tokenizer) -> None:
    said = tokenizer.encode("我是李小龙")
    name = tokenizer.encode("李小龙")
    assert said[-len(name) :] == name
    hotwords = Hotwords(["李小龙"], tokenizer)
    gained = [hotwords.bias(said[:place]).of(said[place]) for place in range(len(said))]
    assert sum(gained) > 5.0
    assert hotwords.bias(said).held == 0.0


def test_a_word_that_is_left_loses_what_it_got_and_a_whole_one_keeps_it(
    tokenizer: Tokenizer,
) -> None:
    hotwords = Hotwords([NAME], tokenizer)
    gained, said = 0.0, list[int]()
    for one in tokenizer.encode(f" {NAME}"):
        gained += hotwords.bias(said).of(one)
        said.append(one)
    comma = token(tokenizer, ",")
    assert hotwords.bias(said).of(comma) == 0.0
    assert gained > 3.0
    begun = said[:2]
    first = sum(hotwords.bias(begun[:i]).of(begun[i]) for i in range(2))
    assert first > 0
    assert hotwords.bias(begun).of(comma) == pytest.approx(-first)


def test_a_word_in_a_longer_one(tokenizer: Tokenizer) -> None:
    """`Ana` is whole, though `Ana Lima` could follow."""
    hotwords = Hotwords(["Ana", "Ana Lima"], tokenizer)
    said = tokenizer.encode(" Ana")
    comma, lima = token(tokenizer, ","), tokenizer.encode(" Lima")[0]
    kept = Hotwords(["Ana"], tokenizer)
    gained = sum(kept.bias(said[:i]).of(said[i]) for i in range(len(said)))
    both = sum(hotwords.bias(said[:i]).of(said[i]) for i in range(len(said)))
    assert hotwords.bias(said).of(lima) > 0
    assert both + hotwords.bias(said).of(comma) == pytest.approx(gained)


def test_words_begin_after_a_space_and_end_at_a_time_stamp(tokenizer: Tokenizer) -> None:
    assert "n" not in raised(tokenizer, [NAME], " Ja" + "Pan")
    hotwords = Hotwords([NAME], tokenizer)
    pan = tokenizer.encode(" Pan")
    assert hotwords.bias(pan).held > 0
    assert hotwords.bias([*pan, tokenizer.timestamp_begin + 50]).held == 0


@pytest.mark.parametrize("word", ["<|endoftext|>", "<|startoftranscript|>", "<|0.00|>"])
def test_the_name_of_a_special_token_is_text(tokenizer: Tokenizer, word: str) -> None:
    hotwords = Hotwords([word], tokenizer)
    said = tokenizer.encode(" <")
    for _ in range(2):
        bias = hotwords.bias(said)
        assert (bias.tokens < tokenizer.eot).all()
        said.append(int(bias.tokens[bias.bonuses.argmax()]))
    assert word.startswith(tokenizer.decode(said).strip())
    assert hotwords.bias(said).held > 0


class Doubtful:
    """A network that hears one of two tokens, and is so much surer of the first of them."""

    def __init__(self, choices: Sequence[tuple[int, int]], surer: float) -> None:
        self.choices = choices
        self.surer = surer
        self.dims = SimpleNamespace(n_text_ctx=448)

    def start(
        self, windows: Sequence[int], prompt: Sequence[int], start_at: int, rows_per_window: int
    ) -> "Doubtful":
        self.rows, self.said = len(windows), 0
        self.first = First(self.logits(), torch.zeros(len(windows), 51865))
        return self

    def keep(self, rows: Sequence[int]) -> None:
        self.rows = len(rows)

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        self.said += 1
        return self.logits()

    def logits(self) -> torch.Tensor:
        logits = torch.zeros(self.rows, 51865)
        better, worse = self.choices[min(self.said, len(self.choices) - 1)]
        logits[:, worse] = 30.0
        logits[:, better] = 30.0 + self.surer
        return logits


def heard(tokenizer: Tokenizer, surer: float, **options: Any) -> Hypothesis:
    """`Pannerz` or `Pannartz`, of which the model is less sure, in a step where they part."""
    begin, end = tokenizer.timestamp_begin, tokenizer.eot
    together = [token(tokenizer, part) for part in (" Pan", "n")]
    apart = (token(tokenizer, "er"), token(tokenizer, "art"))
    last = token(tokenizer, "z")
    choices = [(begin, begin), *((one, one) for one in (*together, last, end))]
    choices.insert(3, apart)
    network = Doubtful(choices, surer)
    return Search(network, tokenizer, DecodingOptions(**options), 1).decode([0], 0.0, [0])[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("beams", [None, 1, 2])
def test_what_is_half_heard_is_taken(tokenizer: Tokenizer, beams: int | None) -> None:
    plain = heard(tokenizer, 1.5, beam_size=beams)
    favoured = heard(tokenizer, 1.5, beam_size=beams, hotwords=(NAME,))
    text = tokenizer.decode([one for one in favoured.tokens if one < tokenizer.eot])
    assert tokenizer.decode([one for one in plain.tokens if one < tokenizer.eot]) == " Pannerz"
    assert text == f" {NAME}"
    # Its log probability is the model's own, by which the quality checks judge it.
    assert favoured.avg_logprob < plain.avg_logprob


@pytest.mark.parametrize("beams", [None, 2])
def test_what_the_model_is_sure_of_stays(tokenizer: Tokenizer, beams: int | None) -> None:
    plain = heard(tokenizer, 35.0, beam_size=beams)
    assert heard(tokenizer, 35.0, beam_size=beams, hotwords=(NAME,)).tokens == plain.tokens


def test_unrelated_words_change_nothing(tokenizer: Tokenizer) -> None:
    unrelated = heard(tokenizer, 1.5, hotwords=("Kowalczyk", "Siobhan"))
    assert unrelated.tokens == heard(tokenizer, 1.5).tokens


def test_a_beginning_that_turns_out_wrong_is_not_left_in_the_text(tokenizer: Tokenizer) -> None:
    """` Pan` instead of ` Pen`, as it begins the name; but then the name does not come."""
    begin, end = tokenizer.timestamp_begin, tokenizer.eot
    pan, pen, cil = (token(tokenizer, part) for part in (" Pan", " Pen", "cil"))
    network = Doubtful([(begin, begin), (pen, pan), (cil, cil), (end, end)], 0.5)

    def tokens(**options: Any) -> tuple[int, ...]:
        asked = DecodingOptions(hotwords=(NAME,), **options)
        return Search(network, tokenizer, asked, 1).decode([0], 0.0, [0])[0].tokens  # type: ignore[arg-type]

    assert tokens(beam_size=1) == (begin, pan, cil)
    assert tokens() == (begin, pen, cil)


@pytest.fixture
def _shouting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PER_TOKEN", 1000.0)
    monkeypatch.setattr(module, "_AT_MOST", 1000.0)


@pytest.mark.usefixtures("_shouting")
def test_openai_whisper_s_own_loop_hears_of_them(demo: ModelSpec) -> None:
    part = beginning()[: 4 * RATE_HZ]

    def text(*words: str) -> str:
        options = DecodingOptions(
            decoding="sequential",
            language="en",
            hotwords=words,
            temperature_increment_on_fallback=None,
        )
        found = transcribe_sequentially(demo, "cpu", part, sound_in(part), options, 1)
        return "".join(segment.text for segment in found.segments)

    assert "zebra" not in text()
    assert "zebra" in text("zebra")
    assert "zebra" not in text()  # the model is not kept as it was changed


def test_time_stamps_are_not_outvoted(tokenizer: Tokenizer) -> None:
    """Where all time stamps together are likelier than any text, it is one of them."""
    begin, end = tokenizer.timestamp_begin, tokenizer.eot
    he, pan = token(tokenizer, " He"), token(tokenizer, " Pan")
    network = Doubtful([(begin, begin), (he, he), (begin + 60, pan), (end, end)], 0.5)
    options = DecodingOptions(hotwords=(NAME,))
    assert Hotwords([NAME], tokenizer).bias([begin, he]).of(pan) > 0.5
    found = Search(network, tokenizer, options, 1).decode([0], 0.0, [0])[0]  # type: ignore[arg-type]
    assert found.tokens == (begin, he, begin + 60)
