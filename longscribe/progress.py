"""How far a run is, and how long it will still take, learnt from its finished chunks."""

from collections.abc import Mapping


class Progress:
    """Counts finished chunks and estimates the time left.

    The speed of a worker is the audio it finished over the time that took; what is left is shared
    among the workers that have work. Chunks under way count by the time since they were started,
    up to their whole length.

    Args:
        lengths_s: seconds of audio of every chunk, by chunk index.
        workers: chunks that run side by side.
    """

    def __init__(self, lengths_s: Mapping[int, float], workers: int) -> None:
        self._lengths_s = dict(lengths_s)
        self._workers = workers
        self._finished: dict[int, float] = {}
        self._last_finish_s = 0.0

    @property
    def done(self) -> int:
        """Finished chunks."""
        return len(self._finished)

    @property
    def total(self) -> int:
        """All chunks."""
        return len(self._lengths_s)

    @property
    def percent(self) -> float:
        """Finished audio in per cent of all."""
        all_s = sum(self._lengths_s.values())
        done_s = sum(self._lengths_s[index] for index in self._finished)
        return 100.0 * done_s / all_s if all_s > 0 else 100.0

    def finish(self, index: int, seconds: float) -> None:
        """A chunk was finished after `seconds` of work on it."""
        self._finished[index] = seconds

    def remaining_s(self, running_s: Mapping[int, float]) -> float | None:
        """Seconds until the last chunk is done, or None before the first one was.

        Args:
            running_s: for every chunk under way, the seconds since it was started.
        """
        spent_s = sum(self._finished.values())
        if not self._finished or spent_s <= 0:
            return None
        speed = sum(self._lengths_s[index] for index in self._finished) / spent_s
        left_s = {
            index: max(0.0, length_s / speed - running_s.get(index, 0.0))
            for index, length_s in self._lengths_s.items()
            if index not in self._finished
        }
        return self._makespan(left_s, running_s)

    def _makespan(self, left_s: Mapping[int, float], running_s: Mapping[int, float]) -> float:
        """When the last worker is done if each takes the next chunk as soon as it is free."""
        free_at_s = sorted([left_s[index] for index in left_s if index in running_s])
        free_at_s = ([0.0] * (self._workers - len(free_at_s)) + free_at_s)[-self._workers :]
        for index in sorted(left_s):
            if index not in running_s:
                free_at_s.sort()
                free_at_s[0] += left_s[index]
        return max(free_at_s, default=0.0)
