"""What sweeps of an inbox remember of its files: nothing that could not be found out again."""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, size_bytes INTEGER, version TEXT, first_seen_s REAL, digest TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS given_up (digest TEXT PRIMARY KEY, last_attempt INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outputs (place TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID;
"""
_WAIT_FOR_OTHERS_S = 60.0


class Seen(NamedTuple):
    """Since when a file has been as it is, and its digest once it was read."""

    first_seen_s: float
    digest: str


class File(Protocol):
    """What the ledger knows of a file."""

    @property
    def name(self) -> str:
        """Its path within the inbox."""

    @property
    def size_bytes(self) -> int:
        """Its size."""

    @property
    def version(self) -> str:
        """When it was changed, in the words of its file system."""


class Ledger:
    """A small database for one inbox; sweeps may share it.

    Args:
        folder: to keep it in, made where it is missing.
        inbox: path or URL of the inbox.
    """

    def __init__(self, folder: Path, inbox: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(inbox.encode(errors="surrogatepass")).hexdigest()[:16]
        self._database = sqlite3.connect(folder / f"{name}.sqlite3", timeout=_WAIT_FOR_OTHERS_S)
        with self._database:
            self._database.executescript(_TABLES)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()

    def seen(self, files: Sequence[File], now_s: float) -> dict[str, Seen]:
        """Since when each file has been as it is now; files that are gone are forgotten."""
        with closing(self._database.execute("SELECT * FROM files")) as rows:
            before = {row[0]: row[1:] for row in rows}
        seen: dict[str, Seen] = {}
        changed: list[tuple[str, int, str, float, str]] = []
        for file in files:
            size, version, since, digest = before.pop(file.name, (None, None, now_s, ""))
            if (size, version) != (file.size_bytes, file.version):
                since, digest = now_s, ""
                changed.append((file.name, file.size_bytes, file.version, since, digest))
            seen[file.name] = Seen(since, digest)
        with self._database:
            self._database.executemany("REPLACE INTO files VALUES (?, ?, ?, ?, ?)", changed)
            self._database.executemany(
                "DELETE FROM files WHERE name = ?", ((name,) for name in before)
            )
        return seen

    def keep_digests(self, digests: Mapping[str, str]) -> None:
        """Remember what was read: name -> digest."""
        with self._database:
            self._database.executemany(
                "UPDATE files SET digest = ? WHERE name = ?",
                ((digest, name) for name, digest in digests.items()),
            )

    def first_attempts(self) -> dict[str, int]:
        """Digest -> number of the first attempt that counts, where it is not the first of all."""
        with closing(self._database.execute("SELECT digest, last_attempt FROM given_up")) as rows:
            return {digest: last + 1 for digest, last in rows}

    def give_up(self, digest: str, last_attempt: int) -> None:
        """A recording was put away as failed: if somebody puts it back, attempts count anew."""
        with self._database:
            self._database.execute("REPLACE INTO given_up VALUES (?, ?)", (digest, last_attempt))

    def owner(self, place: str) -> str | None:
        """The digest of the recording whose transcript goes to a place."""
        query = self._database.execute("SELECT digest FROM outputs WHERE place = ?", (place,))
        with closing(query) as rows:
            row: tuple[str] | None = rows.fetchone()
        return row and row[0]

    def claim(self, place: str, digest: str) -> bool:
        """Take a place for a recording's transcript; False if another recording has it."""
        with self._database:
            self._database.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (place, digest))
        return self.owner(place) == digest
