"""The words of a segment with their times, whether the model timed them or not.

A segment's text may have been improved after its words were timed, so times are carried from the
words to the text letter by letter; letters that nothing was heard for share out the time between
those that were. A segment without timed words is the case where that holds for all of them.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from longscribe.transcript import Segment

_LINE_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_WORDS = re.compile(r"\s*\S+")
# Scripts that set no spaces: Thai, Lao, Myanmar, Khmer, kana, ideographs, full-width marks.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60]"
)
# What stays with the sign before it, besides marks and closing brackets and quotes: punctuation,
# signs of repetition, small kana; in Thai and Lao vowels that follow.
_STAYING = frozenset(
    ".,;:?!…%‰、。，．！？；：％・ー〜～々〻ゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
    "ะาำๅฯๆະາຳຽຯໆ។៕៖ៗ၊။"
)
# Vowels that are written before their consonant, in Thai and Lao.
_LEADING = frozenset("เแโใไເແໂໃໄ")
# The sign after these is written under the one before, in Khmer and Burmese; and a Burmese
# consonant with one of them, or with the sign that takes its vowel, ends a syllable.
_STACKING = "\u17d2\u1039"
_ENDS_SYLLABLE = re.compile("[\u1000-\u1021]\u1037?[\u1039\u103a]")


def letters_of(text: str) -> str:
    """Its letters and digits alone, in small letters: two texts that sound alike are the same."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def sets_no_spaces(text: str) -> bool:
    """Whether there are signs of a script without spaces in it."""
    return _UNSPACED.search(text) is not None


class SpokenWord(NamedTuple):
    """A word of the text, with the space before it, and when it is spoken.

    `probability` is the model's, 0 to 1; None where the time is an estimate.
    """

    text: str
    start_s: float
    end_s: float
    probability: float | None


class _Letter(NamedTuple):
    start_s: float
    end_s: float
    probability: float


def one_line(text: str) -> str:
    """The text without line breaks or space around it; other space within is left as it is."""
    return _LINE_BREAKS.sub(" ", text).strip()


def spoken_words(segment: Segment) -> tuple[SpokenWord, ...]:
    """The words of the segment's text, in order, within its times; joined they are its text."""
    words = list(_words(one_line(segment.text)))
    letters = "".join("".join(word.split()) for word in words)
    heard = _on_text(segment, letters)
    times = list(_timed(heard, segment.start, segment.end))
    result: list[SpokenWord] = []
    first = 0
    for word in words:
        last = first + sum(not c.isspace() for c in word)
        known = [letter.probability for letter in heard[first:last] if letter is not None]
        result.append(
            SpokenWord(
                text=word,
                start_s=times[first][0],
                end_s=times[last - 1][1],
                probability=sum(known) / len(known) if known else None,
            )
        )
        first = last
    return tuple(result)


def _words(text: str) -> Iterator[str]:
    """Words with the space before them; one sign each in a script that sets no spaces."""
    for match in _WORDS.finditer(text):
        word = match.group()
        if not _UNSPACED.search(word):
            yield word
            continue
        held = ""
        for at, sign in enumerate(word):
            apart = _UNSPACED.match(sign) or (held and _UNSPACED.match(held[-1]))
            if held.strip() and apart and not _stays(word, at):
                yield held
                held = ""
            held += sign
        yield held


def _stays(word: str, at: int) -> bool:
    """Whether a sign must stand on the same line as the one before it."""
    sign, before = word[at], word[at - 1]
    return (
        sign in _STAYING
        or unicodedata.category(sign) in ("Mn", "Mc", "Me", "Pe", "Pf")
        or before in _LEADING
        or before in _STACKING
        or unicodedata.category(before) in ("Ps", "Pi")
        or _ENDS_SYLLABLE.match(word, at) is not None
    )


def _on_text(segment: Segment, letters: str) -> list[_Letter | None]:
    """For every letter of the text, when it was heard; None where no timed word has it."""
    heard: list[_Letter] = []
    said: list[str] = []
    for word in segment.words or ():
        signs = "".join(word.word.split())
        step_s = (word.end - word.start) / max(1, len(signs))
        said += [sign.lower() for sign in signs]
        heard += [
            _Letter(word.start + n * step_s, word.start + (n + 1) * step_s, word.probability)
            for n in range(len(signs))
        ]
    wanted = [letter.lower() for letter in letters]
    if said == wanted:
        return list(heard)
    result: list[_Letter | None] = [None] * len(wanted)
    for block in SequenceMatcher(None, said, wanted, autojunk=False).get_matching_blocks():
        result[block.b : block.b + block.size] = heard[block.a : block.a + block.size]
    return result


def _timed(
    heard: list[_Letter | None], start_s: float, end_s: float
) -> Iterator[tuple[float, float]]:
    """Start and end of every letter: never backwards, never outside the segment."""
    position_s = start_s
    runs = [(known, list(run)) for known, run in itertools.groupby(heard, lambda x: x is not None)]
    for number, (known, run) in enumerate(runs):
        if known:
            for letter in run:
                assert letter is not None
                from_s = min(max(letter.start_s, position_s), end_s)
                position_s = min(max(letter.end_s, from_s), end_s)
                yield from_s, position_s
            continue
        until_s = end_s
        if number + 1 < len(runs) and (after := runs[number + 1][1][0]) is not None:
            until_s = min(max(after.start_s, position_s), end_s)
        step_s = (until_s - position_s) / len(run)
        for n in range(len(run)):
            yield position_s + n * step_s, position_s + (n + 1) * step_s
        position_s = until_s
