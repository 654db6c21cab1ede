"""Results of chunks in the cache folder, under their keys."""

from pathlib import Path

from longscribe.cache.folder import results_folder


def result_name(key: str) -> str:
    """The name of a chunk's result below `results_folder()`."""
    return f"{key[:2]}/{key[2:]}.json"


def result_path(key: str) -> Path:
    """The file of a chunk's result."""
    return results_folder() / result_name(key)


def is_kept(key: str, not_before_s: float = 0.0) -> bool:
    """Whether there is a result under a key, kept since then, in seconds since 1970."""
    try:
        return result_path(key).stat().st_mtime >= not_before_s
    except OSError:
        return False
