"""A thread that puts the transcripts of finished recordings into the index."""

import logging
import threading
from typing import Final

from sqlalchemy import select

from longscribe.web.backend import HAS_TRANSCRIPT
from longscribe.web.library.search import put_into_index
from longscribe.web.library.tables import Indexed
from longscribe.web.problems import Problem
from longscribe.web.recordings import current_transcript, latest_version
from longscribe.web.services import Services
from longscribe.web.tables import Recording

_LOOK_EVERY_S: Final = 2.0
_AT_ONCE: Final = 20
_UNREADABLE: Final = -1  # as its version: its file is gone


class Indexer:
    """Looks for recordings that are finished and cannot be searched yet.

    Args:
        services: of the application.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it, after the transcript that it is at."""
        self._ends.set()
        self._thread.join()

    def index_new(self) -> int:
        """Index some recordings that are not yet; how many."""
        with self._services.database.begin() as db:
            wanted = db.scalars(
                select(Recording.id)
                .outerjoin(Indexed, Indexed.recording_id == Recording.id)
                .where(Recording.state.in_(HAS_TRANSCRIPT), Indexed.version.is_(None))
                .limit(_AT_ONCE)
            ).all()
        for recording_id in wanted:
            if self._ends.is_set():
                break
            self._index(recording_id)
        return len(wanted)

    def _index(self, recording_id: str) -> None:
        with self._services.database.begin() as db:
            recording = db.get(Recording, recording_id)
            if recording is None or db.get(Indexed, recording_id) is not None:
                return
            try:
                transcript = current_transcript(db, recording)
            except Problem:
                db.add(Indexed(recording_id=recording_id, version=_UNREADABLE))
                return
            latest = latest_version(db, recording_id)
            version = latest.number if latest is not None else 0
            put_into_index(db, recording, transcript, version)

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                while self.index_new() == _AT_ONCE and not self._ends.is_set():
                    pass
            except Exception:  # a database that is away for a moment; the next look may do
                logging.getLogger("longscribe.web").exception("The index of words waits")
            self._ends.wait(_LOOK_EVERY_S)
