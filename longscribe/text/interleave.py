"""The transcripts of lanes, each with its speaker, as one on their common timeline."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np

from longscribe.audio.voice_activity import Spans, merge_spans
from longscribe.text.merge import account
from longscribe.text.words import SpokenWord, spoken_words
from longscribe.transcript import SOUND_WITHOUT_TEXT, Segment, Transcript, Turn

# A pause of a speaker in which another one speaks ends the segment: a window of the model leaves
# long silences out, so a sentence may seem to go on across another's turn.
_PAUSE_S: Final = 1.0
_SAME_TURN_S: Final = 0.5
_OVERLAP_S: Final = 0.1  # of times that are off by about as much


class Spoken(NamedTuple):
    """A lane's transcript, its speaker's name, and its stretches of sound in seconds, (n, 2)."""

    transcript: Transcript
    speaker: str
    sound: Spans


def interleaved(lanes: Sequence[Spoken]) -> Transcript:
    """One transcript: all segments by their start, each with its speaker.

    Segments of different speakers may overlap; `overlap` says which do.

    Args:
        lanes: each with its segments sorted, and numbered from 0 as its changes name them.
    """
    parts = [
        list(_parted(lane.transcript.segments, _others(lanes, number)))
        for number, lane in enumerate(lanes)
    ]
    segments = sorted(
        (
            _marked(segment, lane.speaker, _others(lanes, number))
            for number, (lane, own) in enumerate(zip(lanes, parts, strict=True))
            for segment in own
        ),
        key=lambda segment: (segment.start, segment.end),
    )
    numbered = [replace(segment, id=number) for number, segment in enumerate(segments)]
    end_s = max(lane.transcript.duration_s for lane in lanes)
    sound = np.concatenate([lane.sound for lane in lanes])
    sound = merge_spans(sound[np.argsort(sound[:, 0])], pad_s=0.0, join_s=0.0, end_s=end_s)
    gaps = [
        gap for lane in lanes for gap in lane.transcript.gaps if gap.reason != SOUND_WITHOUT_TEXT
    ]
    first = lanes[0].transcript
    merged = first.model_copy(
        update={
            "duration_s": end_s,
            "segments": tuple(numbered),
            "stretches": tuple(account(numbered, gaps, sound, end_s)),
            "changes": tuple(c for lane in lanes for c in lane.transcript.changes),
            "seams_s": tuple(sorted({s for lane in lanes for s in lane.transcript.seams_s})),
            "turns": tuple(_turns(numbered)),
        }
    )
    language = next(iter(merged.languages), "") or next(
        filter(None, (lane.transcript.language for lane in lanes)), ""
    )
    return merged.model_copy(update={"language": language})


def with_numbers_apart(transcripts: Sequence[Transcript]) -> list[Transcript]:
    """The lanes' transcripts with no number of a segment twice, so that changes tell which."""
    counts = accumulate((len(one.segments) for one in transcripts), initial=0)
    return [
        one.model_copy(
            update={"segments": tuple(replace(s, id=s.id + first) for s in one.segments)}
        )
        for one, first in zip(transcripts, counts, strict=False)
    ]


class _Times(NamedTuple):
    """When somebody else speaks: starts and ends of segments, sorted by start; ends so far."""

    starts: list[float]
    ends: list[float]

    def overlap_s(self, start_s: float, end_s: float) -> float:
        """The longest time that one of them shares with a stretch."""
        longest_s = 0.0
        at = bisect_left(self.starts, end_s)
        for n in range(at - 1, max(-1, at - 4), -1):
            longest_s = max(longest_s, min(end_s, self.ends[n]) - max(start_s, self.starts[n]))
        return longest_s


def _others(lanes: Sequence[Spoken], number: int) -> list[_Times]:
    return [
        _Times(
            [segment.start for segment in lane.transcript.segments],
            [segment.end for segment in lane.transcript.segments],
        )
        for other, lane in enumerate(lanes)
        if other != number
    ]


def _parted(segments: Sequence[Segment], others: Sequence[_Times]) -> Iterator[Segment]:
    """The segments, cut where their speaker pauses and another one speaks meanwhile."""
    for segment in segments:
        if not segment.words or not any(
            after.start - before.end >= _PAUSE_S for before, after in pairwise(segment.words)
        ):
            yield segment
            continue
        # Of the text as it was improved since the words' times were found.
        said = spoken_words(segment)
        cuts = [
            n
            for n, (before, after) in enumerate(pairwise(said), start=1)
            if after.start_s - before.end_s >= _PAUSE_S
            and any(one.overlap_s(before.end_s, after.start_s) >= _PAUSE_S / 2 for one in others)
        ]
        for first, last in pairwise([0, *cuts, len(said)]):
            yield _part(segment, said, first, last)


def _part(segment: Segment, said: Sequence[SpokenWord], first: int, last: int) -> Segment:
    """Some of the words of a segment as one of its own."""
    if (first, last) == (0, len(said)):
        return segment
    part = said[first:last]
    space = " " if segment.text[:1].isspace() else ""
    start_s = segment.start if first == 0 else part[0].start_s
    end_s = segment.end if last == len(said) else part[-1].end_s
    assert segment.words is not None
    return replace(
        segment,
        text=space + "".join(word.text for word in part).strip(),
        start=start_s,
        end=end_s,
        words=tuple(
            word
            for word in segment.words
            if (first == 0 or (word.start + word.end) / 2 >= start_s)
            and (last == len(said) or (word.start + word.end) / 2 < part[-1].end_s)
        ),
        # Tokens have no times: the first part keeps them all.
        tokens=segment.tokens if first == 0 else (),
    )


def _marked(segment: Segment, speaker: str, others: Sequence[_Times]) -> Segment:
    def overlaps(start_s: float, end_s: float) -> bool:
        return any(other.overlap_s(start_s, end_s) >= _OVERLAP_S for other in others)

    words = segment.words and tuple(
        replace(word, speaker=speaker, overlap=overlaps(word.start, word.end))
        for word in segment.words
    )
    overlap = overlaps(segment.start, segment.end)
    return replace(segment, speaker=speaker, overlap=overlap, words=words)


def _turns(segments: Sequence[Segment]) -> list[Turn]:
    last: dict[str, Turn] = {}
    turns: list[Turn] = []
    for segment in segments:
        assert segment.speaker is not None
        before = last.get(segment.speaker)
        if before is not None and segment.start - before.end_s < _SAME_TURN_S:
            last[segment.speaker] = replace(before, end_s=max(before.end_s, segment.end))
            continue
        if before is not None:
            turns.append(before)
        last[segment.speaker] = Turn(segment.start, segment.end, segment.speaker)
    return sorted([*turns, *last.values()], key=lambda turn: (turn.start_s, turn.end_s))
