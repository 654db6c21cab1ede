"""What is deleted is gone: sound, texts, the run with what the server keeps of it, finished chunks.

At once for who looks; the rest as soon as the run has ended, which may write until then. What is
left to do is in the database: a kill of the application loses none of it.
"""

import time
from pathlib import Path
from typing import Final

from sqlalchemy import select

from longscribe.cache.traces import Forgotten, Traces, leave_word, noted_traces
from longscribe.web.files import remove_files, transcript_folder, words_folder
from longscribe.web.services import Services
from longscribe.web.settings import WebSettings
from longscribe.web.tables import Deletion, Recording

_MOST_AT_ONCE: Final = 50
# A worker that was away for longer has cleaned its cache by age.
_WORDS_KEPT_S: Final = 60 * 86_400.0


def delete_recording(services: Services, recording: Recording) -> None:
    """Delete a recording for good: its row with all that hangs on it, sound and texts.

    Its run is to be cancelled before.
    """
    traces = _traces(services.settings, recording.id)
    with services.database.begin() as db:
        current = db.get(Recording, recording.id)
        if current is None:
            return
        db.add(
            Deletion(
                recording_id=current.id,
                flow_run_id=current.flow_run_id,
                traces=traces.model_dump(mode="json"),
            )
        )
        db.delete(current)
    remove_files(services.settings, recording.id)
    services.changes.tell(recording.id)
    services.changes.wake()


def finish_deletions(services: Services) -> int:
    """Remove what is left of recordings whose runs have ended; how many there were.

    Raises:
        BackendError: the server does not answer.
        OSError: the workers cannot be told.
    """
    with services.database.begin() as db:
        waiting = list(db.scalars(select(Deletion).limit(_MOST_AT_ONCE)))
    finished = 0
    for one in waiting:
        if one.flow_run_id is not None and not services.backend.forget(one.flow_run_id):
            continue
        # What the run noted after the first look, too.
        traces = Traces.model_validate(one.traces) | _traces(services.settings, one.recording_id)
        remove_files(services.settings, one.recording_id)
        folder = words_folder(services.settings.transcripts)
        leave_word(folder, one.recording_id, Forgotten(at_s=time.time(), traces=traces))
        with services.database.begin() as db:
            current = db.get(Deletion, one.recording_id)
            if current is not None:
                db.delete(current)
        finished += 1
    return finished


def remove_old_words(settings: WebSettings) -> None:
    """Remove what all workers have read long ago."""
    before = time.time() - _WORDS_KEPT_S
    for file in words_folder(settings.transcripts).glob("*.json"):
        if file.stat().st_mtime < before:
            file.unlink(missing_ok=True)


def _traces(settings: WebSettings, recording_id: str) -> Traces:
    traces = Traces()
    folder = transcript_folder(settings, recording_id)
    for inside in _folders_in(folder):
        traces |= noted_traces(inside)
    return traces


def _folders_in(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
