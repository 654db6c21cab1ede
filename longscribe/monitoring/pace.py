"""How often a run that goes on is shown on the server."""

from typing import Final

_EVERY_S: Final = 2.0
# Of a long run less often: a thousand of them would keep the server busy with nothing else.
_PART: Final = 0.05  # of the time it has taken
_AT_LEAST_EVERY_S: Final = 10.0


def pause_s(elapsed_s: float) -> float:
    """Until a run is shown again, so many seconds after it began."""
    return max(_EVERY_S, min(_PART * elapsed_s, _AT_LEAST_EVERY_S))


def times_shown(run_s: float) -> float:
    """How often a run that takes so many seconds is shown."""
    at_s, times = 0.0, 0.0
    while (pause := pause_s(at_s)) < _AT_LEAST_EVERY_S and at_s + pause < run_s:
        at_s, times = at_s + pause, times + 1
    return times + (run_s - at_s) / pause
