"""Segments gathered into paragraphs, for the formats that are read rather than watched."""

from collections.abc import Iterator
from typing import NamedTuple

from longscribe.text.words import one_line
from longscribe.transcript import Segment, Stretch, Transcript

_NEW_AFTER_PAUSE_S = 2.5
_NEW_AFTER_CHARS = 450  # at the next end of a sentence
_NEW_AT_MOST_CHARS = 900
_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")


class Paragraph(NamedTuple):
    """Segments that belong together, or a stretch of sound that became no text."""

    segments: tuple[Segment, ...]
    gap: Stretch | None = None
    speaker: str | None = None

    @property
    def start_s(self) -> float:
        """Where it begins, in seconds."""
        return self.gap.start if self.gap else self.segments[0].start

    @property
    def text(self) -> str:
        """What is said in it, on one line."""
        return one_line("".join(_spaced(segment.text) for segment in self.segments))


def speaker_of(segment: Segment) -> str | None:
    """Who or which channel speaks, where that is known."""
    return segment.speaker or None


def speakers_of(transcript: Transcript) -> dict[str, float]:
    """Seconds that each one speaks, by name, in the order in which they first do."""
    spoken_s: dict[str, float] = {}
    for segment in transcript.segments:
        if (speaker := speaker_of(segment)) is not None:
            spoken_s[speaker] = spoken_s.get(speaker, 0.0) + segment.end - segment.start
    return spoken_s


def paragraphs(transcript: Transcript, gaps: tuple[Stretch, ...]) -> Iterator[Paragraph]:
    """The transcript's paragraphs in order, with `gaps` as paragraphs of their own.

    A new one begins with another speaker, after a pause, and at the end of a sentence when the last
    has grown long.
    """
    waiting = sorted(gaps, key=lambda gap: gap.start)
    held: list[Segment] = []
    for segment in transcript.segments:
        due = [gap for gap in waiting if gap.start <= segment.start]
        if held and (due or _parts(held, segment)):
            yield Paragraph(tuple(held), speaker=speaker_of(held[0]))
            held = []
        for gap in due:
            yield Paragraph((), gap)
        waiting = waiting[len(due) :]
        held.append(segment)
    if held:
        yield Paragraph(tuple(held), speaker=speaker_of(held[0]))
    for gap in waiting:
        yield Paragraph((), gap)


def _spaced(text: str) -> str:
    """The text with the space before it that openai-whisper leaves out in unspaced scripts only."""
    return one_line(text) if not text[:1].isspace() else f" {one_line(text)}"


def _parts(held: list[Segment], segment: Segment) -> bool:
    last = held[-1]
    if speaker_of(last) != speaker_of(segment) or segment.start - last.end >= _NEW_AFTER_PAUSE_S:
        return True
    chars = sum(len(s.text) for s in held)
    ended = last.text.rstrip(" \"'”’)").endswith(_SENTENCE_ENDS)
    return chars >= _NEW_AT_MOST_CHARS or (ended and chars >= _NEW_AFTER_CHARS)
