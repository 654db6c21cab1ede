"""The cache folder: weights, kernels and results of chunks, and what is cleaned of them."""

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

from longscribe.cache.atomic_file import remove_abandoned_files

CACHE_VARIABLE: Final = "LONGSCRIBE_CACHE"

Kind = Literal["results", "plans", "digests", "weights", "kernels"]
_KINDS: Final[tuple[Kind, ...]] = ("results", "plans", "digests", "weights", "kernels")
_RUNS_KEEP: Final[tuple[Kind, ...]] = ("results", "plans", "digests")

# Half-converted weights (`.part`) of a process that was killed; a conversion takes a minute or two.
_ABANDONED_AFTER_S = 3600.0


class CacheEntry(NamedTuple):
    """A file in the cache folder; `used_s` is when it was last used, in seconds since 1970."""

    kind: Kind
    path: Path
    size_bytes: int
    used_s: float


def cache_folder() -> Path:
    """Where all of it is kept: LONGSCRIBE_CACHE, or the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longscribe"


def results_folder() -> Path:
    """Where the results of finished chunks are kept."""
    return cache_folder() / "results"


def plans_folder() -> Path:
    """Where it is kept how recordings were cut."""
    return cache_folder() / "plans"


def digests_folder() -> Path:
    """Where digests of files of weights are kept."""
    return cache_folder() / "digests"


def mark_used(path: Path) -> None:
    """Note that a file of the cache was used now: the least recently used are cleaned first."""
    with suppress(OSError):
        os.utime(path)


def cache_entries() -> list[CacheEntry]:
    """All files in the cache folder."""
    return list(_entries())


def clean_cache(
    oldest_days: float,
    largest_bytes: int,
    *,
    weights_too: bool = False,
    spare: Collection[Path] = (),
) -> list[CacheEntry]:
    """Remove what is old, then what was used longest ago until the rest is small enough.

    Args:
        oldest_days: what was not used for longer is removed.
        largest_bytes: for chunk results, and for the weights and kernels apart from them.
        weights_too: old converted weights and compiled kernels as well; the next run that needs
            them makes them again.
        spare: files that stay however old the clock says they are.

    Returns:
        what was removed, abandoned temporary files left out.
    """
    ours = {results_folder(), plans_folder(), digests_folder()}
    for folder in {entry.path.parent for entry in _entries()} | ours:
        remove_abandoned_files(folder)
    now_s = time.time()
    removed = [
        entry
        for entry in _entries()
        if entry.path.suffix == ".part" and now_s - entry.used_s > _ABANDONED_AFTER_S
    ]
    groups: list[tuple[Kind, ...]] = [_RUNS_KEEP]
    if weights_too:
        groups += [("weights",), ("kernels",)]
    for kinds in groups:
        spared = set(spare)
        entries = [e for e in _entries() if e.kind in kinds and e.path not in spared]
        entries = [e for e in entries if e.path.suffix not in (".lock", ".part")]
        entries.sort(key=lambda entry: entry.used_s)
        left_bytes = sum(entry.size_bytes for entry in entries)
        for entry in entries:
            if now_s - entry.used_s <= 86_400 * oldest_days and left_bytes <= largest_bytes:
                break
            removed.append(entry)
            left_bytes -= entry.size_bytes
    for entry in removed:
        with suppress(OSError):
            entry.path.unlink(missing_ok=True)
    return removed


def _entries() -> Iterator[CacheEntry]:
    for kind in _KINDS:
        for folder, _, names in os.walk(cache_folder() / kind):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # another run may clean at the same time
                    status = path.stat()
                    yield CacheEntry(kind, path, status.st_size, status.st_mtime)
