"""Who waits for a recording to change, told by the thread that saw it."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Passes word from threads to the event loops of those who wait.

    `waited_for` tells the follower which recordings somebody is waiting for right now.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = (
            defaultdict(set)
        )
        self._wake = threading.Event()

    @contextmanager
    def watching(self, recording_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the recording changed; the waiter clears it."""
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            self._waiting[recording_id].add(entry)
        self._wake.set()
        try:
            yield event
        finally:
            with self._lock:
                self._waiting[recording_id].discard(entry)
                if not self._waiting[recording_id]:
                    del self._waiting[recording_id]

    def tell(self, recording_id: str) -> None:
        """The recording changed."""
        with self._lock:
            entries = list(self._waiting.get(recording_id, ()))
        for loop, event in entries:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def waited_for(self) -> frozenset[str]:
        """The recordings that somebody waits for."""
        with self._lock:
            return frozenset(self._waiting)

    def wake(self) -> None:
        """There is something to follow."""
        self._wake.set()

    def sleep(self, seconds: float) -> None:
        """Wait until somebody waits, or there is something new, but no longer than this."""
        self._wake.wait(seconds)
        self._wake.clear()
