"""Follows the runs of all recordings: a thread that asks the Prefect server and writes down.

Whatever ends while the application is away is seen when it is back: what is followed is in the
database, and so is what is to be sent.
"""

import json
import logging
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from longscribe.web.backend import ENDED, HAS_TRANSCRIPT, BackendError, RunState
from longscribe.web.callbacks import queue_deliveries
from longscribe.web.deletions import delete_recording, finish_deletions, remove_old_words
from longscribe.web.jobs import set_state, start_run
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.tables import Recording
from longscribe.web.transcripts import transcript_file

# While somebody waits for an answer: that it is there is seen on the disk, so this is how long one
# waits who gets none, and each look takes the server's time from the run.
_AWAITED_EVERY_S: Final = 0.5
_SHARE: Final = 0.2  # of the time, at most, goes to looks
_EVERY_S: Final = 1.0
_IDLE_EVERY_S: Final = 5.0
_PROGRESS_EVERY_S: Final = 2.0
_MOST_PROGRESS: Final = 20  # runs whose progress is asked for in one round
_DELETIONS_EVERY_S: Final = 1.0
_CLEAN_EVERY_S: Final = 600.0
_ABANDONED_S: Final = 5 * 86_400.0
_CLIPS: Final = ("openai", "asr")
_LOST_AFTER_S: Final = 60.0  # a run that the server does not know any more
_LOGGER: Final = logging.getLogger(__name__)


class Follower:
    """Brings the recordings in the database up to what became of their runs.

    Args:
        services: of the application.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._progress_at_s = 0.0
        self._deletions_at_s = 0.0
        self._clean_at_s = 0.0

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no more; returns when the thread is gone."""
        self._stop.set()
        self._services.changes.wake()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Look once at every recording that has not ended; whether there are any."""
        with self._services.database.begin() as db:
            active = list(
                db.scalars(
                    select(Recording)
                    .where(Recording.state.not_in(ENDED))
                    .order_by(Recording.created_at)
                )
            )
        for recording in active:
            if recording.flow_run_id is None:
                self._start(recording)
        followed = [recording for recording in active if recording.flow_run_id is not None]
        if not followed:
            return bool(active)
        states = self._services.backend.states([str(r.flow_run_id) for r in followed])
        for recording in followed:
            state = states.get(str(recording.flow_run_id))
            if state is not None:
                self._saw(recording, state)
            elif time.time() - recording.created_at > _LOST_AFTER_S:
                self._ended(recording, RunState("failed", "the Prefect server has no such run"))
        now_s = time.monotonic()
        if now_s - self._progress_at_s > _PROGRESS_EVERY_S:
            self._progress_at_s = now_s
            self._look_at_progress(followed, states)
        return True

    def _start(self, recording: Recording) -> None:
        try:
            start_run(self._services, recording)
        except Problem as problem:  # it is failed now, and says so
            _LOGGER.warning("%s: %s", recording.id, problem.sentence)

    def _saw(self, recording: Recording, seen: RunState) -> None:
        if seen.state in ENDED:
            self._ended(recording, seen)
        elif (seen.state, seen.message) != (recording.state, recording.message):
            set_state(
                self._services,
                recording.id,
                state=seen.state,
                message=seen.message,
                started_at=seen.started_at,
            )

    def _ended(self, recording: Recording, seen: RunState) -> None:
        values: dict[str, Any] = {
            "state": seen.state,
            "message": seen.message,
            "started_at": seen.started_at or recording.started_at,
            "ended_at": seen.ended_at or time.time(),
            "left_s": None,
        }
        if seen.state in HAS_TRANSCRIPT:
            values |= {"percent": 100.0, **_figures(recording)}
        # One transaction: an end without its messages would never send them.
        with self._services.database.begin() as db:
            current = db.get(Recording, recording.id)
            if current is None or current.state in ENDED:
                return
            for name, value in values.items():
                setattr(current, name, value)
            current.revision += 1
            queue_deliveries(db, current, self._services.settings)
        self._services.changes.tell(recording.id)

    def _look_at_progress(self, followed: Sequence[Recording], states: dict[str, RunState]) -> None:
        awaited = self._services.changes.waited_for()
        running = [r for r in followed if _is_running(states.get(str(r.flow_run_id)))]
        running.sort(key=lambda recording: recording.id not in awaited)
        for recording in running[:_MOST_PROGRESS]:
            progress = self._services.backend.progress(str(recording.flow_run_id))
            if (progress.percent, progress.left_s) != (recording.percent, recording.left_s):
                set_state(
                    self._services, recording.id, percent=progress.percent, left_s=progress.left_s
                )

    def _run(self) -> None:
        is_away = False
        while not self._stop.is_set():
            pause_s, began_s = _IDLE_EVERY_S, time.monotonic()
            try:
                if self.look():
                    pause_s = _EVERY_S
                if self._services.changes.waited_for():
                    pause_s = _AWAITED_EVERY_S
                self._finish_deletions()
                self._clean()
                is_away = False
            except BackendError as error:
                pause_s = _EVERY_S
                if not is_away:
                    _LOGGER.warning("%s; jobs wait for it", error)
                is_away = True
            except OSError as error:  # a disk that is full or away: what is left to do is kept
                _LOGGER.warning("%s", error)
                pause_s = _EVERY_S
            except SQLAlchemyError as error:  # locked, or away: what is in it stays
                _LOGGER.warning("the database does not answer: %s", str(error).partition("\n")[0])
                pause_s = _EVERY_S
            is_awaited = pause_s == _AWAITED_EVERY_S
            took_s = time.monotonic() - began_s
            pause_s = max(pause_s, took_s * (1 - _SHARE) / _SHARE)
            if is_awaited:
                self._stop.wait(pause_s)
            else:
                self._services.changes.sleep(pause_s)

    def _finish_deletions(self) -> None:
        now_s = time.monotonic()
        if now_s - self._deletions_at_s > _DELETIONS_EVERY_S:
            self._deletions_at_s = now_s
            finish_deletions(self._services)

    def _clean(self) -> None:
        """Remove the recordings of clips that have been kept long enough."""
        now_s = time.monotonic()
        if now_s < self._clean_at_s:
            return
        self._clean_at_s = now_s + _CLEAN_EVERY_S
        settings = self._services.settings
        before = time.time() - settings.keep_clips_days * 86_400
        with self._services.database.begin() as db:
            old = list(
                db.scalars(
                    select(Recording).where(
                        Recording.origin.in_(_CLIPS),
                        Recording.state.in_(ENDED),
                        Recording.ended_at < before,
                    )
                )
            )
        for recording in old:
            delete_recording(self._services, recording)
        remove_old_words(settings)
        _remove_abandoned(settings.uploads / "incoming", time.time() - _ABANDONED_S)
        for folder in (settings.uploads / "tus").glob("*"):
            _remove_abandoned(folder, time.time() - _ABANDONED_S)


def _remove_abandoned(folder: Path, before: float) -> None:
    """Remove what uploads that stopped left behind, as after a power cut."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.stat().st_mtime < before:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


def _is_running(state: RunState | None) -> bool:
    return state is not None and state.state == "running"


def _figures(recording: Recording) -> dict[str, Any]:
    """What the transcript says of the recording; nothing where it cannot be read."""
    try:
        written = json.loads(transcript_file(recording).read_bytes())
        return {
            "language": str(written["language"]),
            "duration_s": float(written["longscribe"]["duration_s"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
