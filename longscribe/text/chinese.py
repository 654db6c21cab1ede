"""Chinese in its two scripts: which of them a text is written in."""

from functools import cache


def is_traditional(text: str) -> bool:
    """Whether more of its signs are of the traditional script alone than of the simplified."""
    return _signs_in(text, "big5", "gb2312") > _signs_in(text, "gb2312", "big5")


def _signs_in(text: str, script: str, other: str) -> int:
    """How many signs one script's old character set has and the other's lacks."""
    return sum(_has(script, sign) and not _has(other, sign) for sign in text)


@cache
def _has(charset: str, sign: str) -> bool:
    try:
        sign.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
