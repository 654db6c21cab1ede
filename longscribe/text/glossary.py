"""The user's own spellings: names and terms that a recognizer cannot know.

An entry is a spelling (`Longscribe`), which replaces what sounds out the same letters in any case,
spacing or hyphenation (`long scribe`, `LongScribe`), or `heard => wanted` for what was misheard.
"""

import re
import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from longscribe.errors import OptionError
from longscribe.text.entry_files import is_file, lines_of
from longscribe.wording.catalog import translated

_ARROW = "=>"

_APOSTROPHES = "'\u2018\u2019\u02bc\u02b9\u00b4`\uff07"
_HYPHENS = "-\u2010\u2011\u2012\u2013\u00ad"
# Scripts written without spaces, where nothing tells a word's end: Thai to Lao, Burmese, Khmer,
# kana, Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
_BETWEEN_LETTERS = rf"[\s{re.escape(_HYPHENS)}]?"
_NO_WORD_BEFORE, _NO_WORD_AFTER = r"(?<!\w)", r"(?![\w\u0300-\u036f])"


class Spelling(BaseModel):
    """One entry: the pattern that finds it in a text, and what to write instead."""

    model_config = ConfigDict(frozen=True)

    heard: str
    wanted: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the letters of `heard` as whole words, whatever the case, spaces or hyphens.

        Apostrophes of all kinds are one, and an accent may be a character of its own.
        """
        letters = [letter for letter in self.heard if not _separates(letter)]
        before = "" if _UNSPACED.match(letters[0]) else _NO_WORD_BEFORE
        after = "" if _UNSPACED.match(letters[-1]) else _NO_WORD_AFTER
        spelled = _BETWEEN_LETTERS.join(map(_either_form, letters))
        return re.compile(before + spelled + after, re.IGNORECASE)


def read_glossary(entries: Iterable[str]) -> tuple[Spelling, ...]:
    """The spellings of a glossary.

    Args:
        entries: each a spelling, a `heard => wanted` pair, or the path of a UTF-8 text file with
            one of these per line (empty lines and lines starting with # are skipped).

    Raises:
        OptionError: an entry is empty on one side, or its file cannot be read.
    """
    spellings: list[Spelling] = []
    for entry in entries:
        if _ARROW not in entry and is_file(entry):
            spellings.extend(_spelling(line, entry) for line in lines_of(entry, "--glossary"))
        elif entry.strip():
            spellings.append(_spelling(entry, entry))
    return tuple(spellings)


def _spelling(entry: str, source: str) -> Spelling:
    heard, arrow, wanted = (part.strip() for part in entry.partition(_ARROW))
    if not arrow:
        wanted = heard
    if not wanted or all(_separates(letter) for letter in heard):
        raise OptionError(
            translated(
                "--glossary: {entry!r} in {source!r} is not a spelling; "
                "write a word, or: heard => wanted."
            ).format(entry=entry, source=source)
        )
    return Spelling(
        heard=unicodedata.normalize("NFC", heard), wanted=unicodedata.normalize("NFC", wanted)
    )


def _separates(letter: str) -> bool:
    return letter.isspace() or letter in _HYPHENS


def _either_form(letter: str) -> str:
    if letter in _APOSTROPHES:
        return f"[{_APOSTROPHES}]"
    apart = unicodedata.normalize("NFD", letter)
    return re.escape(letter) if apart == letter else f"(?:{re.escape(letter)}|{apart})"
