"""How far a run is, and how long it will still take, learnt from its finished chunks."""

from collections.abc import Mapping
from typing import Final, NamedTuple

_FIXED_S: Final = 2.0  # of sound: what every chunk costs besides (reading, filling its last batch)
_ALMOST: Final = 0.97  # of a chunk that takes longer than thought

# What follows the last chunk, as measured: merging, the rules and the files.
_ENDING_S: Final = 0.8
_ENDING_PER_HOUR_S: Final = 0.3


def ending_s(duration_s: float, copied_s: float = 0.0) -> float:
    """Seconds that a run takes after its last chunk.

    Args:
        duration_s: of the recording.
        copied_s: what copying the page's sound takes.
    """
    return _ENDING_S + _ENDING_PER_HOUR_S * duration_s / 3600.0 + copied_s


class Work(NamedTuple):
    """A chunk: seconds of audio in it, and how many of them are sound, which the model hears."""

    audio_s: float
    sound_s: float

    @property
    def cost(self) -> float:
        """What it takes, in seconds of sound."""
        return self.sound_s + _FIXED_S


class Progress:
    """Counts finished chunks and estimates the time left.

    The speed of a worker is the sound it finished over the time that took; what is left is shared
    among the workers that have work. Chunks under way count by the time since they were started,
    up to their whole length.

    Args:
        work: every chunk, by chunk index.
        workers: chunks that run side by side.
        ending_s: what the run takes after its last chunk.
    """

    def __init__(self, work: Mapping[int, Work], workers: int, ending_s: float = 0.0) -> None:
        self._work = dict(work)
        self._workers = workers
        self._ending_s = ending_s
        self._finished: dict[int, float] = {}

    @property
    def done(self) -> int:
        """Finished chunks."""
        return len(self._finished)

    @property
    def total(self) -> int:
        """All chunks."""
        return len(self._work)

    @property
    def percent(self) -> float:
        """Finished audio in per cent of all."""
        return self.expected_percent({})

    def finish(self, index: int, seconds: float) -> None:
        """A chunk was finished after `seconds` of a worker's time; 0 if nothing is learnt of it."""
        self._finished[index] = seconds

    def expected_s(self, index: int) -> float | None:
        """Seconds that a chunk takes, or None before the first one was finished."""
        learnt = {index: seconds for index, seconds in self._finished.items() if seconds > 0}
        if not learnt:
            return None
        speed = sum(self._work[index].cost for index in learnt) / sum(learnt.values())
        return self._work[index].cost / speed

    def fraction(self, index: int, running_s: float) -> float | None:
        """How much of a chunk is done that was started so long ago, 0 to below 1."""
        expected_s = self.expected_s(index)
        return None if expected_s is None else min(_ALMOST, running_s / max(expected_s, 1e-6))

    def expected_percent(self, running_s: Mapping[int, float]) -> float:
        """Audio in per cent of all, that of chunks under way by estimate.

        Args:
            running_s: for every chunk under way, the seconds since it was started.
        """
        all_s = sum(work.audio_s for work in self._work.values())
        if all_s <= 0:
            return 100.0
        done_s = sum(self._work[index].audio_s for index in self._finished)
        for index in running_s.keys() - self._finished.keys():
            done_s += self._work[index].audio_s * (self.fraction(index, running_s[index]) or 0.0)
        return 100.0 * done_s / all_s

    def remaining_s(self, running_s: Mapping[int, float]) -> float | None:
        """Seconds until the run is over, or None before the first chunk was.

        Args:
            running_s: for every chunk under way, the seconds since it was started.
        """
        left_s: dict[int, float] = {}
        for index in self._work.keys() - self._finished.keys():
            expected_s = self.expected_s(index)
            if expected_s is None:
                return None
            left_s[index] = max(0.0, expected_s - running_s.get(index, 0.0))
        return self._makespan(left_s, running_s) + self._ending_s

    def _makespan(self, left_s: Mapping[int, float], running_s: Mapping[int, float]) -> float:
        """When the last worker is done if each takes the next chunk as soon as it is free."""
        free_at_s = sorted([left_s[index] for index in left_s if index in running_s])
        free_at_s = ([0.0] * (self._workers - len(free_at_s)) + free_at_s)[-self._workers :]
        for index in sorted(left_s):
            if index not in running_s:
                free_at_s.sort()
                free_at_s[0] += left_s[index]
        return max(free_at_s, default=0.0)
