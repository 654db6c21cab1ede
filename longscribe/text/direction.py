"""Which way a text runs."""

import re

# Hebrew, Arabic, Syriac, Thaana, N'Ko and their neighbours, and Arabic's presentation forms.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_EMBEDDED, _EMBEDDING_ENDS = "\u202b", "\u202c"


def runs_right_to_left(text: str) -> bool:
    """Whether most of its letters do: a sentence in Arabic may begin with a Latin name."""
    letters = [c for c in text if c.isalpha()]
    return 2 * sum(_RIGHT_TO_LEFT.match(c) is not None for c in letters) > len(letters)


def directed(lines: list[str]) -> list[str]:
    """The lines of one text, marked as running from right to left if it does.

    Players lay subtitles out from left to right: libass always, browsers where a line begins with
    a Latin word. The full stop would stand before its sentence, and words in wrong order.
    """
    if not runs_right_to_left("".join(lines)):
        return lines
    return [marked_right_to_left(line) for line in lines]


def marked_right_to_left(line: str) -> str:
    """The line, shown from right to left wherever it is put."""
    return f"{_EMBEDDED}{line}{_EMBEDDING_ENDS}"
