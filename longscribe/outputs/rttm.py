"""Who speaks when, in NIST's Rich Transcription Time Marked format.

A line a turn, ten fields: https://github.com/nryant/dscore#rttm
"""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from longscribe.text.paragraphs import speaker_of
from longscribe.transcript import Transcript

_BLANKS: Final = re.compile(r"\s+")
# Where nothing tells turns, segments of one person less apart than this are one.
_SAME_TURN_S: Final = 0.5


def rttm(transcript: Transcript) -> Iterator[str]:
    """The turns, line by line; nothing where it is not known who speaks."""
    name = _field(PurePath(transcript.recording).stem)
    for start_s, end_s, speaker in turns_of(transcript):
        duration_s = end_s - start_s
        shown = _field(speaker)
        yield f"SPEAKER {name} 1 {start_s:.3f} {duration_s:.3f} <NA> <NA> {shown} <NA> <NA>\n"


def turns_of(transcript: Transcript) -> list[tuple[float, float, str]]:
    """(start in seconds, end, speaker) of every turn, sorted: as found, or of the segments."""
    if transcript.turns:
        return sorted((turn.start_s, turn.end_s, turn.speaker) for turn in transcript.turns)
    last: dict[str, int] = {}
    made: list[tuple[float, float, str]] = []
    for segment in transcript.segments:
        speaker = speaker_of(segment)
        if speaker is None or segment.end <= segment.start:
            continue
        before = last.get(speaker)
        if before is not None and segment.start - made[before][1] < _SAME_TURN_S:
            start_s, end_s, _ = made[before]
            made[before] = (start_s, max(end_s, segment.end), speaker)
            continue
        last[speaker] = len(made)
        made.append((segment.start, segment.end, speaker))
    return sorted(made)


def _field(text: str) -> str:
    """The text as one field: blanks divide them."""
    return _BLANKS.sub("_", text.strip()) or "<NA>"
