"""Hesitations before every window: where all is to be told, and nothing else is given."""

from typing import Any

import numpy as np
import pytest
from whisper.tokenizer import Tokenizer

from longscribe.decoding import sequential
from longscribe.decoding.search import Search
from longscribe.decoding.verbatim import prompt_of
from longscribe.options import DecodingOptions
from tests.longscribe.decoding.test_search import saying


def prompt(language: str | None, **options: Any) -> str:
    return prompt_of(DecodingOptions(**options), language)


@pytest.mark.parametrize(
    ("language", "hesitates"),
    [("en", "Um, uh"), ("pt", "Hum, "), ("es", "Eh, "), ("fr", "Euh, "), ("de", "Äh, ")],
)
def test_it_is_in_the_language_that_is_spoken(language: str, hesitates: str) -> None:
    assert prompt(language, verbatim=True).startswith(hesitates)
    assert prompt(language) == ""


def test_a_translation_is_english_and_so_are_english_models() -> None:
    english = prompt("en", verbatim=True)
    assert prompt("de", verbatim=True, task="translate") == english
    assert prompt(None, verbatim=True) == english


def test_the_user_s_own_text_goes_first_and_other_languages_have_none() -> None:
    assert prompt("en", verbatim=True, initial_prompt="Notes.") == "Notes."
    assert prompt("ja", verbatim=True) == ""


def test_windows_begin_with_it(tokenizer: Tokenizer) -> None:
    script = saying(tokenizer, [1029])
    Search(script, tokenizer, DecodingOptions(verbatim=True), 1).decode([0], 0.0, [0])  # type: ignore[arg-type]
    [(tokens, start_at)] = script.prompts
    assert tokenizer.decode(list(tokens[1:start_at])).strip() == prompt("en", verbatim=True)


def test_openai_whisper_s_loop_carries_it() -> None:
    options = DecodingOptions(decoding="sequential", verbatim=True)
    given = sequential._upstream_options(options, "en", np.array([[0.0, 1.0]]), "cpu")
    assert given["initial_prompt"] == prompt("en", verbatim=True)
    assert given["carry_initial_prompt"]
