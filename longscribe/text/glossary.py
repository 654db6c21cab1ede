"""The user's own spellings: names and terms that a recognizer cannot know.

An entry is a spelling (`Longscribe`), which replaces what sounds out the same letters in any case,
spacing or hyphenation (`long scribe`, `LongScribe`), or `heard => wanted` for what was misheard.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from longscribe.errors import OptionError
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

_ARROW = "=>"


class Spelling(BaseModel):
    """One entry: the pattern that finds it in a text, and what to write instead."""

    model_config = ConfigDict(frozen=True)

    heard: str
    wanted: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the letters of `heard` as whole words, whatever the case, spaces or hyphens."""
        letters = [re.escape(letter) for letter in self.heard if not _separates(letter)]
        return re.compile(r"(?<!\w)" + r"[\s\-]?".join(letters) + r"(?!\w)", re.IGNORECASE)


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
        path = Path(entry).expanduser()
        if _ARROW not in entry and (path.suffix == ".txt" or path.is_file()):
            spellings.extend(_spelling(line, entry) for line in _lines(path))
        elif entry.strip():
            spellings.append(_spelling(entry, entry))
    return tuple(spellings)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        not_text = translated("it is not UTF-8 text")
        reason = told(error) if isinstance(error, OSError) else not_text
        raise OptionError(
            translated("--glossary: cannot read {path!r}: {reason}.").format(
                path=str(path), reason=reason
            )
        ) from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


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
    return letter.isspace() or letter == "-"
