"""Who speaks when in the whole recording, from the voices of its windows."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.audio.voice_activity import Spans, clip_spans
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.windows import (
    FRAME_CENTRE_SAMPLES,
    FRAME_SAMPLES,
    LOCAL_VOICES,
    STEP_FRAMES,
    WINDOW_FRAMES,
    Embeddings,
)

_BLOCK_FRAMES: Final = 35_520  # ten minutes
_SHORTEST_PAUSE_S: Final = 0.3
_SHORTEST_TURN_S: Final = 0.1
_AT_ONCE_FRAMES: Final = 30  # half a second: two people, not one who is taken for two
_AROUND_SPEECH_S: Final = 0.1

Assigned = npt.NDArray[np.int64]  # person of each of a window's voices; -1 for none
Timed = tuple[float, float, int]  # start, end, person


class Window:
    """A window's voices, and which person each is."""

    def __init__(self, number: int, activity: npt.NDArray[np.bool_], people: Assigned) -> None:
        self.start_frame = number * STEP_FRAMES
        self.activity = activity
        self.people = people


def assigned(heard: Iterable[tuple[Span, SpanVoices]], people: Embeddings) -> list[Window]:
    """Every window's voices given to people: those heard at once are never the same person."""
    windows: list[Window] = []
    for place, span in heard:
        activity, embeddings = span.heard_activity(), span.heard_embeddings()
        rows: list[list[int]] = [[] for _ in span.windows]
        for row, (window, _) in enumerate(span.voices):
            rows[window].append(row)
        alike = embeddings @ people.T
        for at, number in enumerate(span.windows):
            whose = np.full(LOCAL_VOICES, -1, np.int64)
            if rows[at] and len(people):
                local = np.array([span.voices[row][1] for row in rows[at]])
                whose[local] = _persons(alike[rows[at]], activity[at][:, local])
            windows.append(Window(place.windows[0] + number, activity[at], whose))
    return windows


def _persons(alike: Embeddings, activity: npt.NDArray[np.bool_]) -> Assigned:
    """The person of each voice of a window.

    Args:
        alike: of voices and people, shape (voices, people).
        activity: of those voices, shape (frames, voices).
    """
    from scipy.optimize import linear_sum_assignment

    best = alike.argmax(1)
    together = activity.astype(np.int64).T @ activity
    clash = (best[:, None] == best[None, :]) & (together >= _AT_ONCE_FRAMES)
    np.fill_diagonal(clash, False)
    if not clash.any():
        return np.asarray(best, np.int64)
    whose = np.full(len(best), -1, np.int64)
    rows, columns = linear_sum_assignment(alike, maximize=True)
    whose[rows] = columns
    return whose


def turns(windows: Sequence[Window], people: int, duration_s: float, speech: Spans) -> list[Timed]:
    """When each person speaks, sorted.

    In every frame as many speak as its windows hear on average, and those most of them hear.

    Args:
        windows: of the recording, in order.
        people: how many there are.
        duration_s: of the recording.
        speech: where there is any, in seconds, shape (n, 2): nobody speaks elsewhere.
    """
    if not windows or not people:
        return []
    end_frame = windows[-1].start_frame + WINDOW_FRAMES
    found: list[list[tuple[int, int]]] = [[] for _ in range(people)]
    first = 0
    for block in range(0, end_frame, _BLOCK_FRAMES):
        stop = min(block + _BLOCK_FRAMES, end_frame)
        while windows[first].start_frame + WINDOW_FRAMES <= block and first < len(windows) - 1:
            first += 1
        votes = np.zeros((stop - block, people), np.float32)
        heard = np.zeros(stop - block, np.float32)
        weight = np.zeros(stop - block, np.float32)
        for window in windows[first:]:
            if window.start_frame >= stop:
                break
            _vote(window, block, stop, votes, heard, weight)
        heard[~_is_speech(speech, block, stop)] = 0.0
        _speaking(votes, heard, weight, block, found)
    return sorted(
        (start_s, end_s, person)
        for person, runs in enumerate(found)
        for start_s, end_s in _in_seconds(runs, duration_s)
    )


def _is_speech(speech: Spans, block: int, stop: int) -> npt.NDArray[np.bool_]:
    """Which of a block's frames are in speech."""
    result = np.zeros(stop - block, np.bool_)
    scale = SAMPLE_RATE_HZ / FRAME_SAMPLES
    shift = FRAME_CENTRE_SAMPLES / FRAME_SAMPLES
    for start_s, end_s in clip_spans(speech, (block - 9) / scale, (stop + 9) / scale):
        first = round((start_s - _AROUND_SPEECH_S) * scale - shift) - block
        last = round((end_s + _AROUND_SPEECH_S) * scale - shift) - block
        result[max(0, first) : max(0, last)] = True
    return result


_HAT: Final = np.hamming(WINDOW_FRAMES).astype(np.float32)


def _vote(
    window: Window,
    block: int,
    stop: int,
    votes: npt.NDArray[np.float32],
    heard: npt.NDArray[np.float32],
    weight: npt.NDArray[np.float32],
) -> None:
    """Add what a window hears to a block's frames."""
    low = max(block, window.start_frame)
    high = min(stop, window.start_frame + WINDOW_FRAMES)
    inside = slice(low - window.start_frame, high - window.start_frame)
    place = slice(low - block, high - block)
    hat = _HAT[inside]
    weight[place] += hat
    for voice, person in enumerate(window.people):
        if person >= 0:
            active = window.activity[inside, voice] * hat
            votes[place, person] += active
            heard[place] += active


def _speaking(
    votes: npt.NDArray[np.float32],
    heard: npt.NDArray[np.float32],
    weight: npt.NDArray[np.float32],
    block: int,
    found: list[list[tuple[int, int]]],
) -> None:
    """Add a block's turns, in frames, to those of each person; one at its start goes on."""
    counts = np.floor(heard / np.maximum(weight, 1e-6) + 0.5).astype(np.int64)
    order = np.argsort(-votes, axis=1, kind="stable")
    for rank in range(min(2, votes.shape[1])):
        speaking = np.where(counts > rank, order[:, rank], -1)
        for person in np.unique(speaking[speaking >= 0]):
            found[person] += _runs(speaking == person, block)


def _runs(active: npt.NDArray[np.bool_], block: int) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return [(block + int(a), block + int(b)) for a, b in edges.reshape(-1, 2)]


def _in_seconds(runs: list[tuple[int, int]], duration_s: float) -> list[tuple[float, float]]:
    """A person's turns, with short pauses closed and what is too short left out."""
    joined: list[list[float]] = []
    shift_s = (FRAME_CENTRE_SAMPLES - FRAME_SAMPLES / 2) / SAMPLE_RATE_HZ
    for start, stop in sorted(runs):
        start_s, stop_s = (at * FRAME_SAMPLES / SAMPLE_RATE_HZ + shift_s for at in (start, stop))
        if joined and start_s - joined[-1][1] < _SHORTEST_PAUSE_S:
            joined[-1][1] = max(joined[-1][1], stop_s)
        else:
            joined.append([start_s, stop_s])
    return [
        (round(max(0.0, start_s), 3), round(min(stop_s, duration_s), 3))
        for start_s, stop_s in joined
        if stop_s - start_s >= _SHORTEST_TURN_S and start_s < duration_s
    ]
