"""Ogg files of several recordings, one after the other, as radio archives and players chain them.

FFmpeg reads on into the next link with the first one's decoder, which fails where rate or channels
change (https://trac.ffmpeg.org/ticket/3455); so each link is opened as a file of its own.
"""

import io
from pathlib import Path
from typing import BinaryIO, Final

_MAGIC: Final = b"OggS\0"  # and its version
_HEADER_BYTES: Final = 27
_BEGINS: Final = 2  # flag of a stream's first page
_READ_BYTES: Final = 1 << 16


def ogg_links(path: Path) -> list[tuple[int, int]]:
    """Start and end of each link of an Ogg file, in bytes; one link for a file that is not chained.

    A link begins with the first pages of its streams, which follow pages of others.
    """
    size_bytes = path.stat().st_size
    starts = [0]
    with path.open("rb", buffering=_READ_BYTES) as file:
        page, position, was_beginning = -1, 0, True
        while position != size_bytes:
            file.seek(position)
            header = file.read(_HEADER_BYTES)
            if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
                # The page before this is damaged, its length too.
                position = _next_page(file, page + 1)
                page = max(page + 1, position - 1)
                continue
            is_beginning = bool(header[5] & _BEGINS)
            if is_beginning and not was_beginning:
                starts.append(position)
            was_beginning = is_beginning
            lengths = file.read(header[26])
            page = position
            position += _HEADER_BYTES + len(lengths) + sum(lengths)
    return list(zip(starts, [*starts[1:], size_bytes], strict=True))


def _next_page(file: BinaryIO, position: int) -> int:
    """Where the next page begins; the end of the file where none does."""
    file.seek(position)
    before = b""
    while content := file.read(_READ_BYTES):
        found = (before + content).find(_MAGIC)
        if found >= 0:
            return position - len(before) + found
        position += len(content)
        before = content[-len(_MAGIC) + 1 :]
    return position


class FilePart(io.RawIOBase):
    """A part of a file as a file of its own, read only."""

    def __init__(self, path: Path, start_bytes: int, end_bytes: int) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._start_bytes, self._size_bytes = start_bytes, end_bytes - start_bytes
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place in the part."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes of the part."""
        left = max(0, self._size_bytes - self._position)
        self._file.seek(self._start_bytes + self._position)
        content = self._file.read(left if size < 0 else min(size, left))
        self._position += len(content)
        return content

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
