"""What the web application's users deleted goes from a worker's cache too.

The application leaves word in the folder that it shares with the workers (`web/deletions`): each
machine has a cache of its own, and one that is off for a day reads it when it is back.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from longscribe.cache.traces import Forgotten, read_word, remove_traces
from longscribe.errors import InputError, StoreError
from longscribe.storage.shared_store import SharedStore
from longscribe.storage.uris import is_url
from longscribe.tasks.shared_results import shared_name
from longscribe.web.files import words_folder

LOOK_EVERY_S: Final = 3.0


class ForgottenRecordings:
    """Looks for word of recordings that are no more.

    Args:
        folder: where it is left; None where there is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._done: set[str] = set()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ForgottenRecordings":
        """As LONGSCRIBE_TRANSCRIPTS has it; a bucket is no folder that the application shares."""
        transcripts = environment.get("LONGSCRIBE_TRANSCRIPTS", "").strip()
        if is_url(transcripts):
            return cls(None)
        transcripts = transcripts or "~/longscribe/transcripts"  # as the application has it
        return cls(words_folder(Path(transcripts).expanduser()))

    def look(self) -> int:
        """Remove what there is word of; how many files there were."""
        removed = 0
        for file in sorted(self._folder.glob("*.json")) if self._folder is not None else ():
            if file.name in self._done:
                continue
            forgotten = read_word(file)
            if forgotten is not None:
                removed += remove_traces(forgotten) + _remove_shared(forgotten)
            self._done.add(file.name)
        return removed


def _remove_shared(forgotten: Forgotten) -> int:
    """The same in what machines share; a store that is away keeps it until it is too old."""
    removed = 0
    with suppress(InputError, StoreError):
        store = SharedStore.from_environment()
        if store is None:
            return 0
        names = [shared_name(key) for key in forgotten.traces.results]
        names += [f"plans/{name}.json" for name in forgotten.traces.plans]
        for name in names:
            if store.has(name) and not _used_since(store, name, forgotten.at_s):
                store.remove(name)
                removed += 1
    return removed


def _used_since(store: SharedStore, name: str, at_s: float) -> bool:
    try:
        return store.get(name, at_s) is not None
    except ValueError:  # damaged
        return False
