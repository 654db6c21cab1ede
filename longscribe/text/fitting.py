"""Which part of a long text a short one says, where they differ in some words.

Edit distance with free ends in the long text: what comes before and after the part costs nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Part(NamedTuple):
    """Words [start, stop) of a long text, and how many edits make a short one of them."""

    start: int
    stop: int
    edits: int


def fit(short: Sequence[str], long: Sequence[str], expected: float) -> Part:
    """The part of a long text that a short one fits best.

    Args:
        short: its words, at least one.
        long: its words, at least one.
        expected: where the part's end should be, as a share of the long text; of parts that fit
            equally well (what is said again and again) the nearest to it is taken, and the widest
            there: a word that was heard otherwise at the edge is in.
    """
    numbers = {word: number for number, word in enumerate(dict.fromkeys((*short, *long)))}
    said = np.array([numbers[word] for word in long], np.int32)
    heard = np.array([numbers[word] for word in short], np.int32)
    at_end = _edits(heard, said, from_anywhere=True)
    stops = np.flatnonzero(at_end == at_end.min())
    nearest = int(stops[np.argmin(np.abs(stops - expected * len(said)))])
    # Ends that follow each other are one place: the last of them has the most words.
    stop = nearest
    while stop + 1 < len(at_end) and at_end[stop + 1] == at_end.min():
        stop += 1
    longest = min(stop, 2 * len(heard) + int(at_end.min()))
    back = _edits(heard[::-1], said[stop - longest : stop][::-1], from_anywhere=False)
    length = int(np.flatnonzero(back == back.min())[-1])
    return Part(stop - length, stop, int(back.min()))


def _edits(
    short: npt.NDArray[np.int32], long: npt.NDArray[np.int32], *, from_anywhere: bool
) -> npt.NDArray[np.int32]:
    """For each end in the long text, the fewest edits to what ends there; shape (len(long) + 1,).

    Row by row of the usual table, each as a whole: what a cell has from its left neighbour is a
    running minimum.
    """
    places = np.arange(len(long) + 1, dtype=np.int32)
    row = np.zeros_like(places) if from_anywhere else places
    for number, word in enumerate(short, start=1):
        best = row + 1  # a word that only the short text has
        np.minimum(best[1:], row[:-1] + (long != word), out=best[1:])
        best[0] = number
        row = np.minimum.accumulate(best - places) + places
    return row
