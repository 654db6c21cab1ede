"""The code that decides what is kept, as a digest: a change of it is another name in the cache."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def sources_sha256(paths: Iterable[str], package: Path = _PACKAGE) -> str:
    """The sha256 of source files, in hex.

    Args:
        paths: of files, or of folders with all the .py files below, from the package's own folder.
        package: the folder.
    """
    return _sha256(tuple(paths), package)


@cache
def _sha256(paths: tuple[str, ...], package: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        place = package / path
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(f"{file.relative_to(package)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@cache
def versions_of(*packages: str) -> dict[str, str]:
    """The installed versions of packages, by their names."""
    return {name: metadata.version(name) for name in packages}
