"""What a run leaves in the cache: noted beside the transcript, to be removed with the recording.

Keys say nothing of the recording they belong to: without a note, who deletes it would have to wait
until what is kept of it is too old.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from longscribe.cache.atomic_file import replace_file
from longscribe.cache.folder import plans_folder
from longscribe.cache.results import result_path

_NOTE: Final = ".traces.jsonl"
# Not a path, whoever wrote it.
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Traces(BaseModel):
    """Keys of results, and names of plans without their suffix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: tuple[_Digest, ...] = ()
    plans: tuple[_Digest, ...] = ()

    def __or__(self, other: "Traces") -> "Traces":
        """All of both, each once."""
        return Traces(
            results=tuple(dict.fromkeys(self.results + other.results)),
            plans=tuple(dict.fromkeys(self.plans + other.plans)),
        )


class Forgotten(BaseModel):
    """Traces that are to be removed, where they were not used since, in seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_s: float
    traces: Traces


def note_traces(
    folder: Path | None, results: Iterable[str] = (), plans: Iterable[Path] = ()
) -> None:
    """Note what a run keeps, before it is there. What cannot be noted is kept all the same.

    Args:
        folder: of the transcript; None notes nothing.
        results: keys.
        plans: their files.
    """
    if folder is None:
        return
    traces = Traces(results=tuple(results), plans=tuple(path.stem for path in plans))
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _NOTE).open("a", encoding="utf-8") as file:
            file.write(f"{traces.model_dump_json()}\n")


def noted_traces(folder: Path) -> Traces:
    """What the runs of a transcript noted, all of them."""
    noted = Traces()
    with suppress(OSError):
        for line in (folder / _NOTE).read_text(encoding="utf-8").splitlines():
            with suppress(ValidationError):  # the last, of which only a part may be there
                noted |= Traces.model_validate_json(line)
    return noted


def remove_traces(forgotten: Forgotten) -> int:
    """Remove from the cache of this machine what is forgotten; how many files there were."""
    removed = 0
    files = [result_path(key) for key in forgotten.traces.results]
    files += [plans_folder() / f"{name}.json" for name in forgotten.traces.plans]
    for file in files:
        with suppress(OSError):
            if file.stat().st_mtime <= forgotten.at_s:  # not what another run has found since
                file.unlink()
                removed += 1
    return removed


def leave_word(folder: Path, name: str, forgotten: Forgotten) -> None:
    """Leave word for the workers of all machines, each of which has a cache of its own.

    Args:
        folder: that they read.
        name: of the file, without its suffix.
        forgotten: what they are to remove.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{name}.json", json.dumps(forgotten.model_dump()).encode())


def read_word(file: Path) -> Forgotten | None:
    """What one file of `leave_word` says; None where it says nothing, or is gone."""
    try:
        return Forgotten.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
