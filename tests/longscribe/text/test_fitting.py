import random
from itertools import product

import jiwer
import pytest

from longscribe.text.fitting import Part, fit


def words(text: str) -> list[str]:
    return text.split()


TALE = words("once upon a time there was a king who had a wife and the wife had a cat")


@pytest.mark.parametrize(
    ("short", "part"),
    [
        ("there was a king", Part(4, 8, 0)),
        ("there was one king", Part(4, 8, 1)),
        ("there was king", Part(4, 8, 1)),
        ("there was a a king", Part(4, 8, 1)),
        ("once upon a", Part(0, 3, 0)),
        ("wife had a cat", Part(14, 18, 0)),
        (" ".join(TALE), Part(0, 18, 0)),
        ("dragon", Part(17, 18, 1)),
    ],
)
def test_the_part_that_is_said(short: str, part: Part) -> None:
    assert fit(words(short), TALE, part.stop / len(TALE)) == part


def test_what_is_said_again_and_again_is_taken_where_it_should_be() -> None:
    song = words("one please hold two please hold three please hold four")
    found = [fit(words("please hold"), song, place) for place in (0.1, 0.6, 0.9)]
    assert [(part.start, part.stop) for part in found] == [(1, 3), (4, 6), (7, 9)]


def test_no_part_fits_better() -> None:
    chance = random.Random(7)
    for _ in range(60):
        long = chance.choices("abcd", k=9)
        short = chance.choices("abcd", k=chance.randint(1, 5))
        found = fit(short, long, chance.random())
        parts = [long[a:b] for a, b in product(range(9), range(1, 10)) if a < b]
        edits = {len(short)} | {_edits(part, short) for part in parts}
        assert found.edits == min(edits)
        assert found.edits == _edits(long[found.start : found.stop], short)


def _edits(said: list[str], heard: list[str]) -> int:
    if not said:
        return len(heard)
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    return found.substitutions + found.deletions + found.insertions
