"""The sound of a recording for browsers: what was brought, or a copy in a form that they play."""

import threading
from functools import lru_cache
from pathlib import Path

from longscribe.audio.recording import probe
from longscribe.errors import InputError
from longscribe.outputs.page.sound import Sound, encode_copy
from longscribe.web.files import upload_folder
from longscribe.web.services import Services
from longscribe.web.tables import Recording

_copying = threading.Lock()  # one at a time: it takes a core


def brought_sound(services: Services, recording: Recording) -> Path | None:
    """The file that somebody brought; None for a URL, or where it is gone."""
    path = Path(recording.source)
    folder = upload_folder(services.settings, recording.id)
    return path if path.parent == folder and path.is_file() else None


def playable_sound(services: Services, recording: Recording) -> Path | None:
    """A file that browsers play; one they do not is encoded once, which takes a while.

    Returns:
        None where there is no sound, or nobody can read it.
    """
    path = brought_sound(services, recording)
    if path is None:
        return None
    if _plays(path, path.stat().st_mtime_ns):
        return path
    copy = path.parent / "page.m4a"
    with _copying:
        if not copy.exists():
            unfinished = copy.with_suffix(".part")
            try:
                encode_copy(probe(path), unfinished)
            except (InputError, OSError):
                unfinished.unlink(missing_ok=True)
                return None
            unfinished.replace(copy)
    return copy


@lru_cache(maxsize=1000)
def _plays(path: Path, changed_ns: int) -> bool:
    del changed_ns
    try:
        return Sound(probe(path), b"", 0.0).way == "link"
    except InputError:
        return False
