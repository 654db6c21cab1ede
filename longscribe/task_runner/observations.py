"""What is seen of worker processes, look by look, and for how long."""

import time
from collections.abc import Iterable
from typing import Final

_MOST_BETWEEN_S: Final = 3.0  # from one look to the next, while the run itself is not stopped


class Observations:
    """A clock that stands still while the run does, and which processes were seen stopped.

    Where the whole run is stopped (Ctrl-Z, then `fg`) no task has been worked at for that long, and
    no worker counts as stopped for having been so when the run was.

    Attributes:
        now_s: on that clock, at the last look.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._clock_s = time.monotonic()
        self._looked_s = self._clock_s
        self._stopped: dict[int, float] = {}

    def look_s(self) -> float:
        """Let the clock go on; what the machine's own monotonic clock says."""
        clock_s = time.monotonic()
        self.now_s += min(clock_s - self._clock_s, _MOST_BETWEEN_S)
        self._clock_s = clock_s
        return clock_s

    def is_due(self, every_s: float) -> bool:
        """Whether the last look is so long ago."""
        return self.look_s() - self._looked_s >= every_s

    def look(self, stopped: Iterable[int]) -> None:
        """Note the processes that a signal stopped."""
        self._looked_s = self.look_s()
        self._stopped = {pid: self._stopped.get(pid, self.now_s) for pid in stopped}

    def stopped_for(self, seconds: float) -> set[int]:
        """Processes that were stopped at every look for so long."""
        return {pid for pid, since_s in self._stopped.items() if self.now_s - since_s >= seconds}
