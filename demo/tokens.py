"""The few hundred tokens the demo model knows, numbered compactly, and utterances spelled in them.

Training works on compact ids: 0 stands for every unused token of Whisper's vocabulary (one shared
row), then come the special tokens, then the text tokens, then the 1501 time stamps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from whisper.tokenizer import Tokenizer, get_tokenizer

from demo.grammar import LANGUAGES, load_grammar, spoken_words

NUM_LANGUAGES = 99
VOCABULARY_SIZE = 51865
TIMESTAMPS = 1501  # 0.00 to 30.00 s in steps of 0.02 s
UNUSED = 0


@dataclass(frozen=True)
class SpelledText:
    """Compact text tokens of a sentence; `word_index[i]` is the word that token i belongs to."""

    tokens: list[int]
    word_index: list[int]
    word_parts: list[tuple[float, float]]  # share (start, end) of its word's time
    word_ids: list[int]  # over both languages, from 1


class TokenMap:
    """Official ids of the tokens in use and their compact numbers."""

    def __init__(self) -> None:
        self._tokenizer: Tokenizer = get_tokenizer(
            True, num_languages=NUM_LANGUAGES, language="en", task="transcribe"
        )
        t = self._tokenizer
        specials = [t.eot, t.sot, t.transcribe, t.no_timestamps, t.no_speech, t.sot_prev]
        specials += [t.to_language_token(language) for language in LANGUAGES]
        text: set[int] = set()
        words: set[str] = set()
        for language in LANGUAGES:
            grammar = load_grammar(language)
            words.update(f"{language} {word}" for word in grammar.words())
            rng = random.Random(0)
            for _ in range(30000):  # names every token, capitals too, that the grammar can reach
                for item in grammar.sentence(rng).split():
                    text.update(t.encode(" " + item))
        self.official = [-1, *specials, *sorted(text)]
        self.first_timestamp = len(self.official)
        self.official += range(t.timestamp_begin, t.timestamp_begin + TIMESTAMPS)
        self.compact = {token: i for i, token in enumerate(self.official)}
        self.eot, self.sot, self.transcribe = 1, 2, 3
        self.no_timestamps, self.no_speech, self.sot_prev = 4, 5, 6
        self.language = {language: 7 + i for i, language in enumerate(LANGUAGES)}
        self.first_text = 7 + len(LANGUAGES)
        self.word_ids = {word: i for i, word in enumerate(sorted(words), 1)}
        self._spelled_items: dict[str, list[int]] = {}

    @property
    def unused_count(self) -> int:
        """How many tokens share the row of compact id 0."""
        return VOCABULARY_SIZE - (len(self.official) - 1)

    def timestamp(self, position: int) -> int:
        """Compact id of the time stamp at a multiple of 0.02 s."""
        return self.first_timestamp + min(max(position, 0), TIMESTAMPS - 1)

    def spell(self, text: str, language: str) -> SpelledText:
        """Tokens of a sentence with the word each one belongs to."""
        tokens: list[int] = []
        index: list[int] = []
        parts: list[tuple[float, float]] = []
        for number, item in enumerate(text.split()):
            spelled = self._spelled_items.get(item)
            if spelled is None:
                spelled = [self.compact[i] for i in self._tokenizer.encode(" " + item)]
                self._spelled_items[item] = spelled
            letters = len(spelled) - (not item[-1].isalpha())
            for i, token in enumerate(spelled):
                tokens.append(token)
                index.append(number)
                # A punctuation mark is heard at the end of its word.
                parts.append((i / letters, (i + 1) / letters) if i < letters else (0.7, 1.0))
        ids = [self.word_ids[f"{language} {word}"] for word in spoken_words(text)]
        return SpelledText(tokens, index, parts, ids)
