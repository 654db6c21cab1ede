"""Windows of at most 30 s that hold speech only, and the way back to the chunk's own time.

Whisper's encoder works on 30 s whatever they hold, so long silences are left out and what remains
is put together; times within a window are then mapped back piece by piece.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from whisper.audio import FRAMES_PER_SECOND, N_FRAMES

from longscribe.audio.recording import SAMPLE_RATE_HZ, Samples
from longscribe.audio.voice_activity import HOP_S, Spans, clip_spans, merge_spans, overlap_s
from longscribe.engine.network import FRAMES_STEP

LONGEST_S = 30.0

# Around sound, so that soft beginnings stay; silences shorter than `_KEPT_SILENCE_S` stay whole.
_PAD_S = 0.2
_KEPT_SILENCE_S = 1.0

# A stretch that does not fit is cut at a pause: the longest one in the last part of the window, as
# long as the windows' number allows, or, where nobody pauses there, in a longer part.
_WELL_FILLED_S = 28.5
_SHORTEST_REACH_S = 2.0
_CUT_REACH_S = 10.0
_SHORTEST_PIECE_S = 1.0
_SEAM_S = 0.4  # how far a text's times may be off where two pieces meet
_QUIET_S = 0.2  # where nobody pauses: the quietest moment of this length

# Whisper is trained on windows filled up with silence to 30 s. Words are no worse where it hears
# a second of that (docs/benchmarks.md), and ten in all: after two seconds of speech and one of it
# the model said a clause three times.
_SILENCE_HEARD_S = 1.0
_LEAST_HEARD_S = 10.0


class Piece(NamedTuple):
    """A part of the chunk, in seconds from the chunk's start."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


class Window(NamedTuple):
    """What the model hears at once: pieces of the chunk, in order, one after the other."""

    pieces: tuple[Piece, ...]

    @property
    def duration_s(self) -> float:
        """Length in seconds, at most 30."""
        return sum(piece.duration_s for piece in self.pieces)

    @property
    def frames(self) -> int:
        """How many frames of its spectrogram the model hears: of the sound and some silence."""
        heard_s = max(self.duration_s + _SILENCE_HEARD_S, _LEAST_HEARD_S)
        steps = math.ceil(heard_s * int(FRAMES_PER_SECOND) / FRAMES_STEP)
        return min(int(N_FRAMES), steps * FRAMES_STEP)

    def samples(self, chunk: Samples) -> Samples:
        """The window's samples out of the chunk's, float32 at 16 kHz."""
        return np.concatenate(
            [
                chunk[round(piece.start_s * SAMPLE_RATE_HZ) : round(piece.end_s * SAMPLE_RATE_HZ)]
                for piece in self.pieces
            ]
        )

    def to_chunk_s(self, window_s: float, *, ends: bool = False) -> float:
        """A time in the window as a time in the chunk.

        Args:
            window_s: seconds from the window's start.
            ends: at the seam of two pieces, take the end of the first, not the start of the second.
        """
        offsets_s = np.cumsum([0.0, *(piece.duration_s for piece in self.pieces)]).tolist()
        # A start is rounded to a time stamp, maybe to just before the seam.
        place = bisect_right(offsets_s, window_s + (0.0 if ends else HOP_S / 2)) - 1
        if ends and place > 0 and window_s - offsets_s[place] < HOP_S / 2:
            place -= 1
        place = min(max(place, 0), len(self.pieces) - 1)
        piece = self.pieces[place]
        return float(min(piece.start_s + max(0.0, window_s - offsets_s[place]), piece.end_s))

    def span_in_chunk_s(self, start_s: float, end_s: float) -> tuple[float, float]:
        """From when to when in the chunk a text is spoken that has these times in the window.

        The model's times are a little off: where one lies just across a seam of two pieces, all but
        nothing of the text is there, and what lies between them in the chunk is not its time.
        """
        seam_s = 0.0
        for piece in self.pieces[:-1]:
            seam_s += piece.duration_s
            if start_s < seam_s <= start_s + _SEAM_S and end_s - seam_s > seam_s - start_s:
                start_s = seam_s
            elif end_s - _SEAM_S <= seam_s < end_s and seam_s - start_s > end_s - seam_s:
                end_s = seam_s
        from_s = self.to_chunk_s(start_s)
        return from_s, max(from_s, self.to_chunk_s(end_s, ends=True))

    def rest(self, window_s: float) -> "Window":
        """What comes after a time in the window."""
        pieces, offset_s = [], 0.0
        for piece in self.pieces:
            start_s = piece.start_s + max(0.0, window_s - offset_s)
            if start_s < piece.end_s - 1e-6:
                pieces.append(Piece(start_s, piece.end_s))
            offset_s += piece.duration_s
        return Window(tuple(pieces))

    def leap_s(self, start_s: float, end_s: float) -> float:
        """The longest silence that was left out between two times in the window."""
        offset_s, longest_s = 0.0, 0.0
        for piece, following in pairwise(self.pieces):
            offset_s += piece.duration_s
            if start_s + _SEAM_S < offset_s < end_s - _SEAM_S:
                longest_s = max(longest_s, following.start_s - piece.end_s)
        return longest_s

    def sound_s(self, sound: Spans) -> float:
        """How much of it is sound; `sound` in seconds of the chunk, shape (n, 2)."""
        return sum(overlap_s(sound, piece.start_s, piece.end_s) for piece in self.pieces)

    def halves(self, sound: Spans) -> list["Window"]:
        """A window of one piece as two, cut at the longest pause of its middle or else there."""
        [piece] = self.pieces
        cut_s, quarter_s = (piece.start_s + piece.end_s) / 2, piece.duration_s / 4
        pauses = _pauses(sound, cut_s - quarter_s, cut_s + quarter_s)
        if len(pauses):
            cut_s = float(pauses[np.argmax(pauses[:, 1] - pauses[:, 0])].mean())
        return [Window((Piece(piece.start_s, cut_s),)), Window((Piece(cut_s, piece.end_s),))]

    def alone(self) -> list["Window"]:
        """Every piece as a window of its own."""
        return [Window((piece,)) for piece in self.pieces]


def pack(sound: Spans, chunk: Samples) -> list[Window]:
    """Pack a chunk's stretches of sound into windows.

    Args:
        sound: in seconds, shape (n, 2).
        chunk: the chunk's samples, for the quietest moment where there is no pause to cut at.
    """
    end_s = len(chunk) / SAMPLE_RATE_HZ
    stretches = merge_spans(sound, pad_s=_PAD_S, join_s=_KEPT_SILENCE_S, end_s=end_s)
    left_s = float(np.sum(stretches[:, 1] - stretches[:, 0]))
    windows: list[Window] = []
    pieces: list[Piece] = []
    room_s, reach_s = LONGEST_S, _reach_s(left_s)
    for start_s, stop_s in stretches.tolist():
        while stop_s - start_s > room_s:
            # Full enough already: the silence before this stretch is the best of cuts.
            if not pieces or room_s > reach_s:
                cut_s = _cut(sound, chunk, start_s, start_s + room_s, reach_s, hard=not pieces)
                if cut_s is not None:
                    pieces.append(Piece(start_s, cut_s))
                    left_s -= cut_s - start_s
                    start_s = cut_s
            windows.append(Window(tuple(pieces)))
            pieces, room_s, reach_s = [], LONGEST_S, _reach_s(left_s)
        pieces.append(Piece(start_s, stop_s))
        room_s -= stop_s - start_s
        left_s -= stop_s - start_s
    if pieces:
        windows.append(Window(tuple(pieces)))
    return windows


def pack_whole(windows: list[Window]) -> list[Window]:
    """Put short windows together, their pieces uncut."""
    packed: list[Window] = []
    for window in windows:
        if packed and packed[-1].duration_s + window.duration_s <= LONGEST_S:
            packed[-1] = Window(packed[-1].pieces + window.pieces)
        else:
            packed.append(window)
    return packed


def in_batches(windows: Sequence[Window], batch_size: int) -> Iterator[Sequence[Window]]:
    """The windows in batches of even size, at most `batch_size`."""
    count = -(-len(windows) // batch_size)
    for part in np.array_split(np.arange(len(windows)), max(1, count)):
        if len(part):
            yield [windows[i] for i in part]


def _reach_s(left_s: float) -> float:
    """How far before a window's end a cut is looked for, with so much sound still to be packed.

    As few windows as are needed, each with its share of what is left free in them.
    """
    count = max(1, int(np.ceil(left_s / _WELL_FILLED_S)))
    return min(_CUT_REACH_S, max(_SHORTEST_REACH_S, 2 * (LONGEST_S - left_s / count)))


def _cut(
    sound: Spans, chunk: Samples, start_s: float, limit_s: float, reach_s: float, hard: bool
) -> float | None:
    """Where to cut a stretch that starts at `start_s` and has room until `limit_s`."""
    earliest_s = start_s + _SHORTEST_PIECE_S
    for reach in (reach_s, _CUT_REACH_S, LONGEST_S if hard else _CUT_REACH_S):
        pauses = _pauses(sound, max(earliest_s, limit_s - reach), limit_s)
        if len(pauses):
            lengths_s = pauses[:, 1] - pauses[:, 0]
            return float(pauses[np.argmax(lengths_s)].mean())
    if not hard:
        return None  # the next window has room for all of it
    return _quietest_s(chunk, max(earliest_s, limit_s - _CUT_REACH_S), limit_s)


def _pauses(sound: Spans, low_s: float, high_s: float) -> Spans:
    gaps = np.column_stack((sound[:-1, 1], sound[1:, 0])) if len(sound) else np.empty((0, 2))
    inside = clip_spans(gaps, low_s, high_s)
    return inside[inside[:, 1] > inside[:, 0]]


def _quietest_s(chunk: Samples, low_s: float, high_s: float) -> float:
    first, last = round(low_s * SAMPLE_RATE_HZ), round(high_s * SAMPLE_RATE_HZ)
    width = round(_QUIET_S * SAMPLE_RATE_HZ)
    power = np.cumsum(np.square(chunk[first:last], dtype=np.float64))
    if len(power) <= width:
        return high_s
    return low_s + (int(np.argmin(power[width:] - power[:-width])) + width / 2) / SAMPLE_RATE_HZ
