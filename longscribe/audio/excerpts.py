"""Parts of a recording that stand for all of it: speech from several places, cut at pauses."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import SAMPLE_RATE_HZ, AcceleratedAudio, read_samples
from longscribe.audio.voice_activity import Spans, overlap_s

_ONE_S: Final = 60.0  # of speech in each place: some two windows, so that few are put together
_FEWEST: Final = 2
_NEARLY_ALL: Final = 1.25  # of what is wanted: then all of it
_REACH_S: Final = 10.0  # how far a cut may be from where it should be
_PAD_S: Final = 0.3  # of the pause that is kept
_BETWEEN_S: Final = 1.5  # of silence: more than windows keep


class Excerpt(NamedTuple):
    """A part of the recording, in its seconds."""

    start_s: float
    end_s: float


def choose_excerpts(speech: Spans, wanted_s: float) -> tuple[Excerpt, ...]:
    """Excerpts that hold about `wanted_s` of speech, evenly spread over all speech that there is.

    Args:
        speech: in seconds, shape (n, 2), at least one.
        wanted_s: of speech.

    Returns:
        one from the first word to the last where there is not much more than that.
    """
    lengths_s = speech[:, 1] - speech[:, 0]
    spoken_s = float(lengths_s.sum())
    if spoken_s <= _NEARLY_ALL * wanted_s:
        return (_around(speech, 0, len(speech) - 1),)
    count = max(_FEWEST, round(wanted_s / _ONE_S))
    half_s = wanted_s / count / 2
    reach_s = min(_REACH_S, half_s / 2, spoken_s / count / 2 - half_s)
    # How much is spoken before each stretch; pauses have no length here.
    before_s = np.concatenate(([0.0], np.cumsum(lengths_s)))
    excerpts = []
    for number in range(count):
        middle_s = (number + 0.5) * spoken_s / count
        edges = (
            _edge(speech, before_s, middle_s - half_s, reach_s, ends=False),
            _edge(speech, before_s, middle_s + half_s, reach_s, ends=True),
        )
        excerpts.append(Excerpt(*edges))
    return tuple(excerpts)


def join_excerpts(
    audio: AcceleratedAudio, excerpts: tuple[Excerpt, ...]
) -> tuple[npt.NDArray[np.int16], tuple[Excerpt, ...]]:
    """The excerpts' samples one after the other, with silence between.

    Returns:
        the samples; and where the excerpts are in them, in seconds.
    """
    silence = np.zeros(round(_BETWEEN_S * SAMPLE_RATE_HZ), np.int16)
    parts, places, position = [], [], 0
    for excerpt in excerpts:
        edges = (round(edge_s * SAMPLE_RATE_HZ) for edge_s in excerpt)
        part = read_samples(audio.pcm_path, *edges)
        places.append(Excerpt(position / SAMPLE_RATE_HZ, (position + len(part)) / SAMPLE_RATE_HZ))
        parts += [part, silence]
        position += len(part) + len(silence)
    return np.concatenate(parts[:-1]), tuple(places)


def spoken_s(speech: Spans, excerpts: tuple[Excerpt, ...]) -> float:
    """Seconds of speech in the excerpts."""
    return sum(overlap_s(speech, *excerpt) for excerpt in excerpts)


def _around(speech: Spans, first: int, last: int) -> Excerpt:
    return Excerpt(_before(speech, first), _after(speech, last))


def _edge(
    speech: Spans, before_s: npt.NDArray[np.float64], wanted_s: float, reach_s: float, ends: bool
) -> float:
    """A moment in the recording where about so much was spoken: in the longest pause near it."""
    # As stretches that end there, or begin.
    at_s = before_s[1:] if ends else before_s[:-1]
    near = np.flatnonzero(np.abs(at_s - wanted_s) <= reach_s)
    if len(near):
        pauses_s = [_pause_s(speech, place + ends) for place in near.tolist()]
        place = int(near[int(np.argmax(pauses_s))])
        return _after(speech, place) if ends else _before(speech, place)
    place = min(int(np.searchsorted(before_s, wanted_s, side="right")) - 1, len(speech) - 1)
    return float(speech[place, 0] + wanted_s - before_s[place])


def _pause_s(speech: Spans, place: int) -> float:
    """How long the pause before a stretch is; the recording's ends are the longest of all."""
    if place in (0, len(speech)):
        return float("inf")
    return float(speech[place, 0] - speech[place - 1, 1])


def _before(speech: Spans, place: int) -> float:
    return float(max(0.0, speech[place, 0] - min(_PAD_S, _pause_s(speech, place) / 2)))


def _after(speech: Spans, place: int) -> float:
    pause_s = _pause_s(speech, place + 1)
    return float(speech[place, 1] + (min(_PAD_S, pause_s / 2) if np.isfinite(pause_s) else 0.0))
