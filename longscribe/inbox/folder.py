"""A folder or bucket that recordings are dropped into: what is new there, and where it goes.

Recordings are told apart by content, not by name. What became of their runs is not kept here: the
Prefect server knows. The `Ledger` spares reading ten thousand unchanged files again.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final, Literal, NamedTuple

from longscribe.errors import OptionError
from longscribe.inbox.ledger import Ledger
from longscribe.storage.uris import child_of, is_url, open_folder, reason, shown
from longscribe.wording.catalog import translated

Afterwards = Literal["move", "mark"]

DONE_FOLDER: Final = "done"
FAILED_FOLDER: Final = "failed"
DONE_MARK: Final = ".done.txt"
FAILED_MARK: Final = ".failed.txt"

# What browsers, rsync, SFTP clients and the like call a file until it is complete.
_UNFINISHED: Final = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp")
# Where a file system tells that a file changed: local and SFTP, S3, Google, Azure, memory.
_CHANGED: Final = ("mtime", "ETag", "LastModified", "etag", "updated", "last_modified", "created")
_BLOCK_BYTES: Final = 1 << 20


class Dropped(NamedTuple):
    """A recording in the inbox.

    Attributes:
        name: its path within the inbox.
        size_bytes: of the file.
        version: when it was changed, in the words of its file system.
        digest: SHA-256 of its content; empty where it was not read yet.
    """

    name: str
    size_bytes: int
    version: str
    digest: str = ""


class Inbox:
    """The recordings in a folder or bucket that nothing was done about yet.

    Args:
        folder: absolute path, or URL.
        option: it was given as, for messages.

    Raises:
        OptionError: it cannot be opened.
    """

    def __init__(self, folder: str, option: str = "folder") -> None:
        self.folder = folder.rstrip("/")
        self._option = option
        self._files, path = open_folder(self.folder, option)
        self._path = path.rstrip("/")

    def place(self, recording: Dropped) -> str:
        """The path or URL of a recording."""
        return child_of(self.folder, recording.name)

    def recordings(self) -> list[Dropped]:
        """Everything that was dropped and is neither marked nor put away, by name.

        Raises:
            OptionError: the inbox does not exist or cannot be read.
        """
        try:
            # A bucket's listing is kept in memory otherwise, and this process may sweep again.
            self._files.invalidate_cache()
            if not self._files.isdir(self._path) and not is_url(self.folder):
                raise FileNotFoundError
            found: dict[str, dict[str, Any]] = self._files.find(self._path, detail=True)
        except Exception as error:  # every library has its own
            raise OptionError(
                translated("{option}: the inbox {folder} cannot be read: {reason}.").format(
                    option=self._option, folder=shown(self.folder), reason=reason(error)
                )
            ) from None
        described = {path[len(self._path) + 1 :]: about for path, about in found.items()}
        return [
            Dropped(name, int(about.get("size") or 0), _version(about))
            for name, about in sorted(described.items())
            if _is_recording(name, about)
            and name + DONE_MARK not in described
            and name + FAILED_MARK not in described
        ]

    def digest(self, recording: Dropped) -> str:
        """SHA-256 of a recording's content; empty if it is gone or was changed meanwhile."""
        path = child_of(self._path, recording.name)
        digest = hashlib.sha256()
        with suppress(FileNotFoundError):
            with self._files.open(path, "rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
            self._files.invalidate_cache()
            about = self._files.info(path)
            if (int(about.get("size") or 0), _version(about)) == recording[1:3]:
                return digest.hexdigest()
        return ""

    def put_away(
        self, recording: Dropped, afterwards: Afterwards, note: str, *, failed: bool
    ) -> None:
        """Move a recording into the folder for its outcome, or mark it with a note beside it.

        A failed one has its note in either case, and before anything else.
        """
        path = child_of(self._path, recording.name)
        mark = FAILED_MARK if failed else DONE_MARK
        with suppress(FileNotFoundError):  # another sweep was faster
            if afterwards == "mark":
                self._files.info(path)
                self._files.pipe_file(path + mark, note.encode())
                return
            target = self._free_path(FAILED_FOLDER if failed else DONE_FOLDER, recording)
            self._files.info(path)
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            if failed:
                self._files.pipe_file(target + mark, note.encode())
            self._files.mv(path, target)

    def _free_path(self, folder: str, recording: Dropped) -> str:
        path = f"{self._path}/{folder}/{recording.name}"
        if not self._files.exists(path):
            return path
        name = PurePosixPath(path)
        return str(name.with_name(f"{name.stem}-{recording.digest[:8]}{name.suffix}"))


def settled(
    inbox: Inbox, ledger: Ledger, settle_s: float, now_s: float | None = None
) -> tuple[list[Dropped], int]:
    """The recordings that are complete, with their digests, and how many are not yet.

    A recording is complete when its size and time of change have been the same for `settle_s`, as
    seen by sweeps: clients may set any time of change they like.
    """
    now_s = time.time() if now_s is None else now_s
    dropped = inbox.recordings()
    seen = ledger.seen(dropped, now_s)
    complete: list[Dropped] = []
    read: dict[str, str] = {}
    for recording in dropped:
        row = seen[recording.name]
        digest = row.digest
        if not digest and now_s - row.first_seen_s >= settle_s:
            digest = inbox.digest(recording)
            if digest:
                read[recording.name] = digest
        if digest:
            complete.append(recording._replace(digest=digest))
    ledger.keep_digests(read)
    return complete, len(dropped) - len(complete)


class Attempt(NamedTuple):
    """One run of a recording: which one it was, its state in Prefect's words, and why."""

    number: int
    state: str
    reason: str
    run_id: str


class Fate(NamedTuple):
    """What to do about a recording.

    Attributes:
        kind: start a run, wait for one, or put the recording away.
        attempt: number of the run to start, or of the last one.
        reason: why it failed, or what is missing.
        run_id: of the run that decided.
    """

    kind: Literal["start", "wait", "done", "failed"]
    attempt: int
    reason: str = ""
    run_id: str = ""


def fate(attempts: Iterable[Attempt], first: int, most: int) -> Fate:
    """What is to be done about a recording after its runs.

    Args:
        attempts: its runs so far.
        first: number of the first attempt that counts; earlier ones were given up, and then
            somebody put the recording back.
        most: how many count before it is given up.
    """
    runs = sorted(attempts)
    for run in runs:
        if run.state == "COMPLETED":
            return Fate("done", run.number, run.reason, run.run_id)
    counted = [run for run in runs if run.number >= first]
    if not counted:
        return Fate("start", first)
    last = counted[-1]
    if last.state == "CANCELLED":
        return Fate(
            "failed", last.number, last.reason or translated("the run was cancelled"), last.run_id
        )
    if last.state not in ("FAILED", "CRASHED"):
        return Fate("wait", last.number, run_id=last.run_id)
    if last.number - first + 1 < most:
        return Fate("start", last.number + 1)
    return Fate(
        "failed", last.number, last.reason or translated("no reason was given"), last.run_id
    )


def output_folder(recording: Dropped, output_dir: str, output_name: str, ledger: Ledger) -> str:
    """The folder for a recording's transcript folder: as in the inbox, and no one else's.

    Two recordings `talk.mp3` and `talk.wav` would overwrite each other's `talk/`: the one that
    comes later gets a folder with the beginning of its digest in between.
    """
    parent = str(PurePosixPath(recording.name).parent)
    folder = output_dir if parent == "." else child_of(output_dir, parent)
    apart = child_of(folder, recording.digest[:8])
    for candidate in (folder, apart):
        place = child_of(candidate, output_name)
        owner = ledger.owner(place)
        if owner == recording.digest:
            return candidate
        if owner is None and not _exists(place) and ledger.claim(place, recording.digest):
            return candidate
    return apart


def _exists(place: str) -> bool:
    files, path = open_folder(place, "--output-dir")
    return bool(files.exists(path))


def _is_recording(name: str, about: Mapping[str, Any]) -> bool:
    parts: Sequence[str] = PurePosixPath(name).parts
    return not (
        about.get("type") != "file"
        or about.get("islink")  # it may lead out of the inbox
        or any(part.startswith(".") for part in parts)
        or (len(parts) > 1 and parts[0] in (DONE_FOLDER, FAILED_FOLDER))
        or name.lower().endswith((*_UNFINISHED, DONE_MARK, FAILED_MARK))
    )


def _version(about: Mapping[str, Any]) -> str:
    value = next((about[name] for name in _CHANGED if about.get(name) is not None), "")
    # Listings and descriptions of a file need not agree on the kind of a time.
    return str(value.timestamp() if isinstance(value, datetime) else value)
