"""The language of every window of a chunk, where the run does not name it.

Upstream listens once, to the first 30 s. Here each window's own vote is asked for, which costs a
step of the decoder. Where votes do not agree windows are cut at pauses into units, each unit is
listened to by itself, and the likeliest sequence of languages is taken: a unit that is unsure goes
with its neighbours.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import groupby, pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from longscribe.audio.voice_activity import Spans, clip_spans
from longscribe.decoding.tokenizer import tokenizer_of
from longscribe.decoding.windows import Piece, Window, in_batches, pack_whole
from longscribe.engine.network import Network

Votes = npt.NDArray[np.float32]  # probabilities, shape (windows, languages)

_SURE: Final = 0.8  # of the language that all windows agree on
_AGREED: Final = 0.6  # the same where each window's likeliest language is that one
_FOREIGN: Final = 0.5  # of a window's own language, beside
_NOT_PRESUMED: Final = 0.2  # of the one that it was decoded in
_SHORTEST_UNIT_S: Final = 4.0  # less says little about a language
_SWITCH: Final = np.log(0.35)  # how likely it is that another language follows


class Spoken(NamedTuple):
    """A window, the code of its language, and how probable that is."""

    window: Window
    language: str
    probability: float


class Listener:
    """Asks the model for the languages of windows.

    Attributes:
        codes: of the languages that there may be.
        votes: what the model says of each window by itself.
    """

    def __init__(
        self,
        codes: Sequence[str],
        votes: Callable[[Sequence[Window]], Votes],
        sound: Spans,
    ) -> None:
        """A listener.

        Args:
            codes: of the languages that there may be.
            votes: probabilities of those in windows.
            sound: the chunk's stretches of sound in seconds, shape (n, 2).
        """
        self.codes = codes
        self.votes = votes
        self._sound = sound

    def presumed(self, votes: Votes) -> int | None:
        """The language that all windows seem to be in; None where they do not agree."""
        average = votes.mean(axis=0)
        best = int(average.argmax())
        agreed = average[best] >= _AGREED and bool((votes.argmax(axis=1) == best).all())
        return best if agreed or average[best] >= _SURE else None

    def is_foreign(self, vote: Votes, presumed: int) -> bool:
        """Whether a window, by its own vote, is in another language than the one presumed."""
        best = int(vote.argmax())
        sure = vote[best] >= _FOREIGN and vote[presumed] < _NOT_PRESUMED
        return best != presumed and bool(sure)

    def spoken(self, windows: Sequence[Window]) -> list[Spoken]:
        """All windows of a chunk, those cut in which the language changes, in order."""
        votes = self.votes(windows)
        presumed = self.presumed(votes)
        if presumed is None:
            return self.listen(windows)
        found: list[Spoken] = []
        for window, vote in zip(windows, votes, strict=True):
            if self.is_foreign(vote, presumed):
                found += self.listen([window], presumed)
            else:
                found.append(Spoken(window, self.codes[presumed], float(vote[presumed])))
        return found

    def listen(self, windows: Sequence[Window], around: int | None = None) -> list[Spoken]:
        """The windows anew, each in one language.

        Args:
            windows: in order.
            around: the language before and after them, if there is one.
        """
        units = [unit for window in windows for unit in units_of(window, self._sound)]
        votes = self.votes(units)
        path = likeliest(votes, around)
        spoken = []
        for language, run in groupby(range(len(units)), key=path.__getitem__):
            places = list(run)
            probability = float(votes[places, language].mean())
            spoken += [
                Spoken(window, self.codes[language], probability)
                for window in pack_whole([units[place] for place in places])
            ]
        return spoken


def network_listener(
    network: Network,
    encode: Callable[[Sequence[Window]], None],
    sound: Spans,
    batch_size: int,
    among: Collection[str] = (),
) -> Listener:
    """A listener that asks one of the engine's networks.

    Args:
        network: the model.
        encode: lets it hear windows.
        sound: the chunk's stretches of sound in seconds, shape (n, 2).
        batch_size: windows heard side by side.
        among: codes of the languages that there may be; empty for all.
    """
    tokenizer = tokenizer_of(network.dims, network.added_texts)
    known = zip(tokenizer.all_language_codes, tokenizer.all_language_tokens, strict=True)
    chosen = [(code, token) for code, token in known if not among or code in among]
    tokens = [token for _, token in chosen]

    def votes(windows: Sequence[Window]) -> Votes:
        found = []
        for batch in in_batches(windows, batch_size):
            encode(batch)
            places = list(range(len(batch)))
            at_start = network.start(places, [tokenizer.sot], 0, 1).first.at_start
            found.append(torch.softmax(at_start[:, tokens].float(), dim=-1).numpy())
        return np.concatenate(found)

    return Listener([code for code, _ in chosen], votes, sound)


def units_of(window: Window, sound: Spans) -> list[Window]:
    """A window cut at its longest pauses, in units that are long enough to tell a language."""
    sections: list[Piece] = []
    for piece in window.pieces:
        inside = clip_spans(sound, piece.start_s, piece.end_s)
        cuts = ((inside[:-1, 1] + inside[1:, 0]) / 2).tolist() if len(inside) else []
        edges = [piece.start_s, *cuts, piece.end_s]
        sections += [Piece(*pair) for pair in pairwise(edges)]
    pauses = [_pause_s(sound, *pair) for pair in pairwise(sections)]
    units = [[section] for section in sections]

    def length_s(place: int) -> float:
        return sum(section.duration_s for section in units[place])

    while len(units) > 1:
        short = [
            place
            for place in range(len(pauses))
            if min(length_s(place), length_s(place + 1)) < _SHORTEST_UNIT_S
        ]
        if not short:
            break
        place = min(short, key=pauses.__getitem__)
        units[place : place + 2] = [units[place] + units[place + 1]]
        del pauses[place]
    return [Window(tuple(unit)) for unit in units]


def _pause_s(sound: Spans, before: Piece, after: Piece) -> float:
    """The silence between two neighbours, what was left out included."""
    quiet_s = after.start_s - before.end_s
    ends = clip_spans(sound, before.start_s, before.end_s)
    begins = clip_spans(sound, after.start_s, after.end_s)
    if len(ends):
        quiet_s += before.end_s - float(ends[-1, 1])
    if len(begins):
        quiet_s += float(begins[0, 0]) - after.start_s
    return quiet_s


def likeliest(votes: Votes, around: int | None = None) -> list[int]:
    """The likeliest sequence of languages (Viterbi), where another one seldom follows.

    Args:
        votes: of the units, in order.
        around: the language before the first and after the last.
    """
    scores = np.log(np.maximum(votes, 1e-6)).astype(np.float64)
    outside = np.zeros(scores.shape[1])
    if around is not None:
        outside[:] = _SWITCH
        outside[around] = 0.0
    best = outside + scores[0]
    came_from = []
    for score in scores[1:]:
        leader = int(best.argmax())
        switched = best[leader] + _SWITCH
        came_from.append(np.where(best >= switched, np.arange(len(best)), leader))
        best = np.maximum(best, switched) + score
    path = [int((best + outside).argmax())]
    for back in reversed(came_from):
        path.append(int(back[path[-1]]))
    return path[::-1]
