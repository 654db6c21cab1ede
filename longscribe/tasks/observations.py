"""What the supervisor saw of its workers, look by look, and for how long."""

import time
from collections.abc import Iterable
from typing import Final

from longscribe.monitoring.run_record import AtWork

_MOST_BETWEEN_S: Final = 3.0  # from one look to the next, while the run itself is not stopped
_STOOD_STILL_S: Final = 10.0  # less may be a busy machine


class Observations:
    """Which workers were seen at which chunks, and which of them stopped.

    Time stands still in it while the run does (Ctrl-Z, then `fg`): no worker has been at its chunk
    for that long, and none counts as stopped for having been so when the run was.

    Attributes:
        now_s: on its clock.
        stood_still_s: when that was last, on the machine's monotonic clock.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.stood_still_s = 0.0
        self._looked_s = time.monotonic()
        self._at_work: dict[AtWork, float] = {}
        self._stopped: dict[int, float] = {}

    def look(self, at_work: Iterable[AtWork], stopped: Iterable[int]) -> None:
        """Note what is to be seen now.

        Args:
            at_work: workers at their chunks.
            stopped: pids of processes that a signal stopped.
        """
        looked_s = time.monotonic()
        self.now_s += min(looked_s - self._looked_s, _MOST_BETWEEN_S)
        if looked_s - self._looked_s > _STOOD_STILL_S:
            self.stood_still_s = looked_s
        self._looked_s = looked_s
        self._at_work = {one: self._at_work.get(one, self.now_s) for one in at_work}
        self._stopped = {pid: self._stopped.get(pid, self.now_s) for pid in stopped}

    def at_it_s(self, worker: AtWork) -> float:
        """How long a worker of the last look has been seen at its chunk."""
        return self.now_s - self._at_work[worker]

    def stopped_for(self, seconds: float) -> set[int]:
        """Processes that were stopped at every look for so long."""
        return {pid for pid, since_s in self._stopped.items() if self.now_s - since_s >= seconds}
