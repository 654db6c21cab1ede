"""The words that a run is told may be said, from what its option names."""

import unicodedata
from collections.abc import Iterator
from typing import Final

from longscribe.errors import OptionError
from longscribe.options import RunOptions
from longscribe.text.entry_files import is_file, lines_of
from longscribe.wording.catalog import translated

_MOST: Final = 1000
_LONGEST_CHARS: Final = 100


def with_hotwords(options: RunOptions) -> RunOptions:
    """The options with the words themselves, of lists and files: chunks are kept under those.

    Raises:
        OptionError: a file cannot be read, or there are too many words, or too long ones.
    """
    words = tuple(dict.fromkeys(_words(options.hotwords)))
    if len(words) > _MOST:
        raise OptionError(
            translated("--hotwords: {count} words are too many; give at most {most}.").format(
                count=len(words), most=_MOST
            )
        )
    return options.model_copy(update={"hotwords": words})


def _words(entries: tuple[str, ...]) -> Iterator[str]:
    for entry in entries:
        # A comma at the end is how a service marks words (storage/access.py).
        names_file = not entry.endswith(",") and is_file(entry)
        lines = lines_of(entry, "--hotwords") if names_file else [entry]
        for line in lines:
            for part in line.split(","):
                word = unicodedata.normalize("NFC", " ".join(part.split()))
                if len(word) > _LONGEST_CHARS:
                    raise OptionError(
                        translated(
                            "--hotwords: {word!r}... is no name or term but a text; give words of "
                            "at most {longest} characters, separated by commas."
                        ).format(word=word[:30], longest=_LONGEST_CHARS)
                    )
                if word:
                    yield word
