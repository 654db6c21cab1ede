"""The demo's grammar: closed vocabulary, seeded, natural lengths."""

from __future__ import annotations

import random

import pytest

from demo.grammar import LANGUAGES, load_grammar, spoken_words


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_stay_inside_the_vocabulary(language: str) -> None:
    grammar = load_grammar(language)
    rng = random.Random(3)
    known = set(grammar.words())
    for _ in range(500):
        words = spoken_words(grammar.sentence(rng))
        assert 4 <= len(words) <= 18
        assert set(words) <= known


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_written_as_such(language: str) -> None:
    grammar = load_grammar(language)
    rng = random.Random(4)
    for _ in range(200):
        text = grammar.sentence(rng)
        assert text[0].isupper()
        assert text[-1] in ".?"
        assert "{" not in text


def test_a_seed_gives_the_same_sentences() -> None:
    grammar = load_grammar("en")
    first, second = random.Random(5), random.Random(5)
    assert [grammar.sentence(first) for _ in range(20)] == [
        grammar.sentence(second) for _ in range(20)
    ]


def test_sentences_rarely_repeat() -> None:
    grammar = load_grammar("pt")
    rng = random.Random(6)
    assert len({grammar.sentence(rng) for _ in range(500)}) > 460


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="no grammar for language 'xx'"):
        load_grammar("xx")
