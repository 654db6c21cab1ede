"""Who says which words: segments get a speaker, and are split where the speaker changes.

Words that the model timed go by their times. In a segment without them words are taken to be
spread evenly, so a change of speakers is looked for at the end of a sentence or phrase nearby.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import Final

from longscribe.speakers.enrolled import Known
from longscribe.speakers.turns import Timed
from longscribe.text.words import SpokenWord, spoken_words
from longscribe.transcript import Recognized, Segment, Transcript, Turn, Word

_NEAR_S: Final = 1.0  # a word beside a turn
# Of somebody else's words between two sentences, and within one: times are not that exact.
_SHORT_S: Final = 0.35
_SHORT_WITHIN_S: Final = 0.8
_ENDS: Final = ((".?!。？！…", 1.2), (",;:、，；：", 0.5))
_MOSTLY: Final = 0.85
_OVERLAPPING: Final = 0.3  # of a segment
_WORD_OVERLAPPING: Final = 0.5
_NOBODY: Final[Mapping[int, Known]] = MappingProxyType({})


class Timeline:
    """Who speaks at any time.

    Args:
        turns: (start, end, person) in seconds.
    """

    def __init__(self, turns: Sequence[Timed]) -> None:
        self._edges_s = sorted({edge for start, end, _ in turns for edge in (start, end)})
        self._people: list[tuple[int, ...]] = [() for _ in self._edges_s]
        places = {edge: n for n, edge in enumerate(self._edges_s)}
        for start, end, person in turns:
            for n in range(places[start], places[end]):
                self._people[n] += (person,)

    def between(
        self, start_s: float, end_s: float
    ) -> Iterator[tuple[float, float, tuple[int, ...]]]:
        """The stretches of a time and who speaks in each."""
        n = bisect_right(self._edges_s, start_s) - 1
        while n < len(self._edges_s) and (n < 0 or self._edges_s[n] < end_s):
            low = self._edges_s[n] if n >= 0 else start_s
            high = self._edges_s[n + 1] if n + 1 < len(self._edges_s) else end_s
            people = self._people[n] if n >= 0 else ()
            if min(high, end_s) > max(low, start_s):
                yield max(low, start_s), min(high, end_s), people
            n += 1

    def speaker(self, start_s: float, end_s: float) -> int | None:
        """Who speaks most of a time, or nearest to it; None where nobody is near."""
        spoken = self.seconds(start_s, end_s)
        if spoken:
            return max(spoken, key=lambda person: (spoken[person], -person))
        around = list(self.between(start_s - _NEAR_S, end_s + _NEAR_S))
        near = [
            (max(start_s - high, low - end_s), people[0]) for low, high, people in around if people
        ]
        return min(near)[1] if near else None

    def seconds(self, start_s: float, end_s: float) -> dict[int, float]:
        """How long each person speaks within a time."""
        spoken: dict[int, float] = {}
        for low, high, people in self.between(start_s, end_s):
            for person in people:
                spoken[person] = spoken.get(person, 0.0) + high - low
        return spoken

    def overlap(self, start_s: float, end_s: float) -> float:
        """Which part of a time several speak in."""
        shared = sum(b - a for a, b, people in self.between(start_s, end_s) if len(people) > 1)
        return shared / max(end_s - start_s, 1e-3)


def with_speakers(
    transcript: Transcript,
    turns: Sequence[Timed],
    names: Sequence[str] = (),
    known: Mapping[int, Known] = _NOBODY,
) -> Transcript:
    """The transcript with a speaker for each segment and word, and the turns.

    Args:
        transcript: on the recording's timeline.
        turns: (start, end, person) in seconds.
        names: of people, in the order in which they first say something; the others are
            SPEAKER_00, SPEAKER_01 and so on, by their place in it.
        known: people whose voices are enrolled; they take none of the names.
    """
    timeline = Timeline(turns)
    pieces = [piece for segment in transcript.segments for piece in _pieces(segment, timeline)]
    order = list(dict.fromkeys(person for person, _ in pieces if person is not None))
    order += [p for p in dict.fromkeys(person for *_, person in turns) if p not in order]
    called = {person: one.name for person, one in known.items()}
    free = [name for name in names if name not in called.values()]
    for number, person in enumerate(one for one in order if one not in known):
        own = f"SPEAKER_{order.index(person):02d}"
        called[person] = free[number] if number < len(free) else own
    segments = tuple(
        replace(
            segment,
            id=number,
            speaker=None if person is None else called[person],
            overlap=timeline.overlap(segment.start, segment.end) >= _OVERLAPPING,
            words=_named(segment.words, None if person is None else called[person], timeline),
        )
        for number, (person, segment) in enumerate(pieces)
    )
    told = tuple(Turn(start, end, called[person]) for start, end, person in turns)
    sure = tuple(Recognized(*known[person]) for person in order if person in known)
    return transcript.model_copy(update={"segments": segments, "turns": told, "recognized": sure})


def _named(
    words: tuple[Word, ...] | None, speaker: str | None, timeline: Timeline
) -> tuple[Word, ...] | None:
    if words is None:
        return None
    return tuple(
        replace(
            word,
            speaker=speaker,
            overlap=timeline.overlap(word.start, word.end) >= _WORD_OVERLAPPING,
        )
        for word in words
    )


def _pieces(segment: Segment, timeline: Timeline) -> list[tuple[int | None, Segment]]:
    """A segment's parts, one for each run of words of the same person."""
    spoken = timeline.seconds(segment.start, segment.end)
    if len(spoken) < 2:
        return [(timeline.speaker(segment.start, segment.end), segment)]
    words = spoken_words(segment)
    if segment.words:
        whose = _by_time(words, timeline)
    else:
        total_s = sum(spoken.values())
        first = max(spoken, key=lambda person: spoken[person])
        if spoken[first] >= _MOSTLY * total_s:
            return [(first, segment)]
        whose = _by_phrase(words, segment, timeline)
    runs = [
        (who, list(run)) for who, run in groupby(zip(whose, words, strict=True), lambda x: x[0])
    ]
    if len(runs) < 2:
        return [(whose[0] if whose else None, segment)]
    return list(_split(segment, [(who, [word for _, word in run]) for who, run in runs]))


def _by_time(words: Sequence[SpokenWord], timeline: Timeline) -> list[int | None]:
    """Whose each word is; a short word between two of the same person is that person's."""
    whose = [timeline.speaker(word.start_s, word.end_s) for word in words]
    last: int | None = next((who for who in whose if who is not None), None)
    for n, who in enumerate(whose):
        last = whose[n] = last if who is None else who
    at = 0
    for _, run in groupby(list(whose)):
        count = len(list(run))
        stop = at + count
        within = at > 0 and not _is_end(words[at - 1].text)
        longest_s = _SHORT_WITHIN_S if within else _SHORT_S
        is_short = words[stop - 1].end_s - words[at].start_s < longest_s
        if is_short and at > 0 and stop < len(whose) and whose[at - 1] == whose[stop]:
            whose[at:stop] = [whose[stop]] * count
        at = stop
    return whose


def _by_phrase(
    words: Sequence[SpokenWord], segment: Segment, timeline: Timeline
) -> list[int | None]:
    """Whose each word is, where times of words are only guessed."""
    order: list[tuple[float, int]] = []
    for start_s, end_s, people in timeline.between(segment.start, segment.end):
        going_on = bool(order) and order[-1][1] in people
        if people and not going_on and end_s - start_s >= _SHORT_S:
            order.append((start_s, people[0]))
    if not order:
        return [timeline.speaker(segment.start, segment.end)] * len(words)
    whose: list[int | None] = []
    for (_, person), (change_s, _) in pairwise(order):
        free = range(len(whose) + 1, len(words))
        if not free:
            break
        cut = min(free, key=lambda n: abs(words[n].start_s - change_s) - _is_end(words[n - 1].text))
        whose += [person] * (cut - len(whose))
    rest = order[-1][1] if len(whose) < len(words) else None
    return whose + [rest] * (len(words) - len(whose))


def _is_end(text: str) -> float:
    """How far a change may be from the end of a sentence or phrase, in seconds."""
    return next((worth for signs, worth in _ENDS if text.rstrip("\"'”’)»")[-1:] in signs), 0.0)


def _split(
    segment: Segment, runs: Iterable[tuple[int | None, list[SpokenWord]]]
) -> Iterator[tuple[int | None, Segment]]:
    """The parts of a segment; tokens go with the first, as no text says where they divide."""
    parts = list(runs)
    starts = [segment.start, *(run[0].start_s for _, run in parts[1:])]
    ends = [
        *(min(run[-1].end_s, after) for (_, run), after in zip(parts, starts[1:], strict=False))
    ]
    ends.append(segment.end)
    for n, ((person, run), start_s, end_s) in enumerate(zip(parts, starts, ends, strict=True)):
        text = "".join(word.text for word in run)
        low = float("-inf") if n == 0 else start_s
        high = float("inf") if n == len(parts) - 1 else starts[n + 1]
        words = segment.words and tuple(
            word for word in segment.words if low <= (word.start + word.end) / 2 < high
        )
        yield (
            person,
            replace(
                segment,
                start=round(start_s, 3),
                end=round(max(start_s, end_s), 3),
                text=text if text[:1].isspace() or not segment.text[:1].isspace() else f" {text}",
                tokens=segment.tokens if n == 0 else (),
                words=words,
            ),
        )
