"""How well a transcript of a real recording fits what was said, and when.

Words are compared as in longscribe/text/word_errors.py; where languages alternate, by the basic
normalizer throughout.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.contestant import Segment
from benchmarks.real_recordings import RealRecording, Utterance
from longscribe.text.word_errors import WordErrors, word_errors, words_of


class BoundaryErrors(NamedTuple):
    """How far off times are from the true ones: the median and the 90th percentile."""

    median_s: float
    percentile_90_s: float


class Scores(NamedTuple):
    """What a transcript is worth; None where the recording cannot tell.

    Attributes:
        errors: against the words known to be said.
        words_outside: words of segments in which nobody speaks.
        language_errors: share of the utterances in another language than theirs.
        starts: of utterances, against the nearest start of a segment.
        ends: of utterances, against the nearest end of a segment.
    """

    errors: WordErrors | None
    words_outside: int
    language_errors: float | None
    starts: BoundaryErrors | None
    ends: BoundaryErrors | None


def score(recording: RealRecording, segments: Sequence[Segment], text: str) -> Scores:
    """Compare a transcript with its recording's reference."""
    utterances = recording.utterances
    spoken = " ".join(one.text or "" for one in utterances)
    timed = recording.timed and segments
    return Scores(
        word_errors(spoken, text, recording.language) if recording.has_texts else None,
        words_outside(utterances, segments, recording.language),
        language_errors(utterances, segments) if recording.is_multilingual else None,
        boundary_errors([u.start for u in utterances], [s.start for s in segments])
        if timed
        else None,
        boundary_errors([u.end for u in utterances], [s.end for s in segments]) if timed else None,
    )


def words_outside(
    utterances: Iterable[Utterance], segments: Iterable[Segment], language: str
) -> int:
    """Words of the segments that lie wholly where nobody speaks."""
    spoken = list(utterances)
    return sum(
        len(words_of(segment.text, language))
        for segment in segments
        if not any(_overlap_s(segment, utterance) > 0 for utterance in spoken)
    )


def language_errors(utterances: Sequence[Utterance], segments: Sequence[Segment]) -> float | None:
    """The share of utterances whose segments are mainly said to be in another language.

    An utterance without a segment counts as an error. None: the program does not tell.
    """
    if not any(segment.language for segment in segments):
        return None
    wrong = sum(_main_language(one, segments) != one.language for one in utterances)
    return wrong / len(utterances)


def boundary_errors(true_s: Sequence[float], found_s: Sequence[float]) -> BoundaryErrors:
    """Distances of true times to the nearest ones found."""
    distances_s = np.abs(np.subtract.outer(true_s, found_s)).min(axis=1)
    median_s, percentile_90_s = np.percentile(distances_s, [50, 90])
    return BoundaryErrors(float(median_s), float(percentile_90_s))


def _main_language(utterance: Utterance, segments: Iterable[Segment]) -> str:
    heard_s: dict[str, float] = {}
    for segment in segments:
        overlap_s = _overlap_s(segment, utterance)
        if overlap_s > 0:
            heard_s[segment.language] = heard_s.get(segment.language, 0.0) + overlap_s
    return max(heard_s, key=lambda language: heard_s[language], default="")


def _overlap_s(segment: Segment, utterance: Utterance) -> float:
    return min(segment.end, utterance.end) - max(segment.start, utterance.start)
