"""How far one text is from another, in words.

Words are compared as Whisper's authors do it: by their normalizer for English, by the basic one for
other languages. Scripts without spaces between words (Chinese, Japanese, Thai, Lao, Burmese) are
compared by characters, and words elsewhere in the same text by words: the mixed error rate of
code-switching research.

Importing it loads torch, as Whisper's normalizers are in its package: where nothing is compared it
is not needed.
"""

import re
from functools import cache
from typing import Final, NamedTuple

import jiwer
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

_BASIC: Final = BasicTextNormalizer()
# Japanese syllabaries, ideographs in common use, Thai, Lao and Burmese: the languages whose words
# Whisper itself takes by characters (whisper/tokenizer.py, split_to_word_tokens).
_CHARACTER: Final = re.compile(
    "([々\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f])"
)


class WordErrors(NamedTuple):
    """Words of a reference, and what became of them; characters in scripts without spaces."""

    words: int
    substituted: int
    lost: int
    invented: int

    @property
    def rate(self) -> float:
        """The word error rate, a share of the reference's words."""
        return (self.substituted + self.lost + self.invented) / self.words


def words_of(text: str, language: str) -> list[str]:
    """The words to compare, normalized for the language; each character of such a script is one."""
    normalized = _english()(text) if language == "en" else _BASIC(text)
    return _CHARACTER.sub(r" \1 ", normalized).split()


def word_errors(reference: str, hypothesis: str, language: str) -> WordErrors:
    """What became of the reference's words."""
    return compared(words_of(reference, language), words_of(hypothesis, language))


def compared(said: list[str], heard: list[str]) -> WordErrors:
    """The same for words that were taken from their texts already."""
    if not said or not heard:
        return WordErrors(len(said), 0, len(said), len(heard))
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    return WordErrors(len(said), found.substitutions, found.deletions, found.insertions)


@cache
def _english() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()  # reads its list of spellings
