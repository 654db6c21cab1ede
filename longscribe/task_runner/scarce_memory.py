"""Whether the memory of the machine ran out."""

from typing import Final

from longscribe.runtime.machine import out_of_memory_kills, this_machine

_LITTLE: Final = 0.25  # of what a worker needs


class ScarceMemory:
    """What is seen of the machine's memory."""

    def __init__(self) -> None:
        self._available_bytes = this_machine().available_bytes
        self._kills = out_of_memory_kills()

    def look(self) -> None:
        """Note what is free: too late when a worker has died of it."""
        self._available_bytes = this_machine().available_bytes

    def ran_out(self, per_worker_bytes: int) -> bool:
        """Whether a worker that was killed, and needs so much, was killed for its memory."""
        kills = out_of_memory_kills()
        little = self._available_bytes < _LITTLE * per_worker_bytes
        scarce = kills > self._kills or little
        self._kills = kills
        return scarce
