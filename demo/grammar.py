"""Sentences of the demo's closed vocabulary, drawn from demo/vocabulary.json with a seed."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

VOCABULARY_PATH = Path(__file__).with_name("vocabulary.json")
LANGUAGES = ("en", "pt")
_SLOT = re.compile(r"\{(\w+)\}")
WORD_PATTERN = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Grammar:
    """One language: named word classes and sentence patterns with `{class}` slots."""

    language: str
    classes: dict[str, list[str]]
    sentences: list[str]

    def sentence(self, rng: random.Random) -> str:
        """One sentence of 4-16 words, with capital and final punctuation."""
        return capitalized(self._expand(rng.choice(self.sentences), rng, set()))

    def words(self) -> list[str]:
        """Every word the grammar can say, lower case, sorted."""
        patterns = [*self.sentences, *(item for items in self.classes.values() for item in items)]
        return sorted({word for text in patterns for word in spoken_words(_SLOT.sub(" ", text))})

    def _expand(self, pattern: str, rng: random.Random, used: set[str]) -> str:
        def fill(match: re.Match[str]) -> str:
            choices = self.classes[match[1]]
            # 'from Paris to Paris' reads badly: a word class gives no word twice in a sentence.
            fresh = [choice for choice in choices if choice not in used] or choices
            choice = rng.choice(fresh)
            if "{" not in choice:
                used.add(choice)
            return self._expand(choice, rng, used)

        return _SLOT.sub(fill, pattern)


def load_grammar(language: str, path: Path = VOCABULARY_PATH) -> Grammar:
    """The grammar of one language ('en' or 'pt')."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if language not in data:
        raise ValueError(f"no grammar for language {language!r}; choose one of {sorted(data)}")
    return Grammar(language, data[language]["classes"], data[language]["sentences"])


def capitalized(text: str) -> str:
    """The text with its first letter in upper case and all others untouched."""
    return text[:1].upper() + text[1:]


def spoken_words(text: str) -> list[str]:
    """The words of a text, lower case, without punctuation."""
    return [match.lower() for match in WORD_PATTERN.findall(text)]
