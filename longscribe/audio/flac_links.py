"""FLAC files of several recordings, one after the other.

FFmpeg reads on into the next one by the header of the first, and loses it where rate or channels
change.
"""

import re
from pathlib import Path
from typing import Final

# The marker, and the head of the block that has to follow it, which is always as long.
_BEGINS: Final = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_MARKER_BYTES: Final = 8
_READ_BYTES: Final = 1 << 20


def flac_links(path: Path) -> list[tuple[int, int]]:
    """Start and end of each recording of a FLAC file, in bytes."""
    starts, position, before = [], 0, b""
    with path.open("rb") as file:
        while content := file.read(_READ_BYTES):
            offset = position - len(before)
            starts += [offset + found.start() for found in _BEGINS.finditer(before + content)]
            position += len(content)
            before = content[-(_MARKER_BYTES - 1) :]
    return list(zip(starts, [*starts[1:], position], strict=True))
