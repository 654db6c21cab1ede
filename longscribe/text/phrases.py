"""Words gathered into phrases, which a line of subtitles holds whole.

Where words have spaces between them each is its own. In scripts without, `spoken_words` has a sign
a word, and a line may end only where a reader pauses: BudouX finds that in Japanese, Chinese and
Thai, ICU's dictionaries in Khmer, Lao and Burmese where `icu4py` is installed (the extra `icu`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec

from longscribe.text.chinese import is_traditional
from longscribe.text.words import SpokenWord, sets_no_spaces

Phrase = tuple[SpokenWord, ...]

_ICU_LANGUAGES = ("km", "lo", "my")
_BETWEEN_SPACES = re.compile(r"\S+")


def phrases(words: Sequence[SpokenWord], language: str) -> list[Phrase]:
    """The words in order, those that belong together in one phrase.

    Args:
        words: of a segment.
        language: its code; of one that is not known here, every word is a phrase.
    """
    text = "".join(word.text for word in words)
    parts = _parts_in(text, language) if sets_no_spaces(text) else None
    if parts is None:
        return [(word,) for word in words]
    ends = set(_ends(text, parts))
    result: list[Phrase] = []
    held: list[SpokenWord] = []
    end = 0
    for word in words:
        if held and (end in ends or word.text[0].isspace()):
            result.append(tuple(held))
            held = []
        held.append(word)
        end += len(word.text)
    return [*result, tuple(held)] if held else result


def _ends(text: str, parts: Callable[[str], Iterable[str]]) -> Iterator[int]:
    for match in _BETWEEN_SPACES.finditer(text):
        end = match.start()
        for part in parts(match.group()):
            end += len(part)
            yield end


def _parts_in(text: str, language: str) -> Callable[[str], Iterable[str]] | None:
    if language in ("zh", "yue"):
        return _budoux("zh-hant" if is_traditional(text) or language == "yue" else "zh-hans")
    if language in ("ja", "th"):
        return _budoux(language)
    if language in _ICU_LANGUAGES and find_spec("icu4py"):
        from icu4py.breakers import LineBreaker

        return lambda part: map(str, LineBreaker(part, language))
    return None


@cache
def _budoux(model: str) -> Callable[[str], list[str]]:
    # Only here: other languages need not load it.
    import budoux

    load = {
        "ja": budoux.load_default_japanese_parser,
        "th": budoux.load_default_thai_parser,
        "zh-hans": budoux.load_default_simplified_chinese_parser,
        "zh-hant": budoux.load_default_traditional_chinese_parser,
    }
    parse: Callable[[str], list[str]] = load[model]().parse
    return parse
