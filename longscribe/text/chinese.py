"""Chinese in its two scripts: which of them a text is written in, and the other."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from longscribe.languages import ChineseScript
from longscribe.transcript import Word


def is_traditional(text: str) -> bool:
    """Whether more of its signs are of the traditional script alone than of the simplified."""
    return _signs_in(text, "big5", "gb2312") > _signs_in(text, "gb2312", "big5")


def _signs_in(text: str, script: str, other: str) -> int:
    """How many signs one script's old character set has and the other's lacks."""
    signs = (sign for sign in text if "\u4e00" <= sign <= "\u9fff")
    return sum(_has(script, sign) and not _has(other, sign) for sign in signs)


def in_script(text: str, script: ChineseScript) -> str:
    """The text as it is written there: the same words in other signs.

    A simplified sign may stand for several traditional ones, and is in use in that script as well
    (后, 里, 干). So text that is traditional already gets no more than the region's own forms.
    """
    if script == "Hans":
        return _converter("t2s")(text)
    is_already = is_traditional(text) and not _signs_in(text, "gb2312", "big5")
    if is_already:
        return text if script == "Hant" else _converter(f"t2{script.lower()}")(text)
    simplified = _converter("t2s")(text)
    return _converter("s2t" if script == "Hant" else f"s2{script.lower()}")(simplified)


def words_in_script(words: Sequence[Word], script: ChineseScript) -> tuple[Word, ...]:
    """As many words with the same times; they are converted as one text where lengths allow it."""
    texts = [word.word for word in words]
    together = in_script("".join(texts), script)
    if len(together) == sum(map(len, texts)):
        ends = list(itertools.accumulate(map(len, texts)))
        texts = [together[end - len(text) : end] for end, text in zip(ends, texts, strict=True)]
    else:
        texts = [in_script(text, script) for text in texts]
    return tuple(replace(word, word=text) for word, text in zip(words, texts, strict=True))


@cache
def _has(charset: str, sign: str) -> bool:
    try:
        sign.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


@cache
def _converter(conversion: str) -> Callable[[str], str]:
    # Only here: other languages need not load it.
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC(conversion).convert
    return convert
