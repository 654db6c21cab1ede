"""How much of its worker's time a chunk may take, although it goes on showing progress."""

from typing import Final

_SHORTEST_S: Final = 600.0
_TIMES_MEASURED: Final = 20.0  # falling back at every window costs about ten times as much
_TIMES_ESTIMATED: Final = 10.0
_ENOUGH_SOUND_S: Final = 30.0  # a chunk with less says little about the speed

# Seconds of work for a second of sound and a weight: about half as fast as openai-whisper's own
# loop in float32 on one core (benchmarks/NOTES.md).
_WORK_PER_WEIGHT: Final = 1 / 400e6


class TimeLimits:
    """Limits from the speed of this run's own chunks; before the first, from the model's size.

    They are for what never ends and yet gets on, as openai-whisper's own loop did
    (https://github.com/openai/whisper/issues/2005): far longer than any chunk takes that does.

    Args:
        parameters: weights of the model.
        fixed_s: what the user chose; None measures.
    """

    def __init__(self, parameters: int, fixed_s: float | None = None) -> None:
        self._estimated = parameters * _WORK_PER_WEIGHT
        self._fixed_s = fixed_s
        self._slowest = 0.0

    def finished(self, sound_s: float, seconds: float) -> None:
        """A chunk with so much sound took so much of its worker's time."""
        if sound_s >= _ENOUGH_SOUND_S:
            self._slowest = max(self._slowest, seconds / sound_s)

    def limit_s(self, sound_s: float, deaths: int = 0) -> float:
        """How long a chunk may take; twice as long after each death of its worker."""
        if self._fixed_s is not None:
            return self._fixed_s
        pace = _TIMES_MEASURED * self._slowest or _TIMES_ESTIMATED * self._estimated
        return max(_SHORTEST_S, pace * sound_s) * float(2**deaths)
