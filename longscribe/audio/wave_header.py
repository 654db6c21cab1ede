"""WAV files whose header declares less than there is.

Recorders write the header first and its sizes at the end, or never; and sizes of 32 bits go round
at 4 GB. FFmpeg takes what is declared, and says nothing of the rest.
"""

import struct
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

# Written while recording or into a pipe, less the header or not: all of 31, 32 or 64 bits.
_PLACEHOLDERS: Final = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_HEADER_BYTES: Final = 4096
_MOST_CHUNKS: Final = 1000
# PCM, floats, A-law, mu-law and what says it in an extension: every sample is as long as another.
_EVEN: Final = (1, 3, 6, 7, 0xFFFE)


class WaveData(NamedTuple):
    """Where the samples of a WAV file lie, and how many bytes of them a second has.

    Attributes:
        start_bytes: of the first sample.
        declared_bytes: of samples, by the header.
        there_bytes: from the first sample to the end of the file.
        bytes_per_s: of samples.
        is_undeclared: whether more samples follow the declared ones. What follows them as chunks of
            their own, such as a list of titles, is none.
    """

    start_bytes: int
    declared_bytes: int
    there_bytes: int
    bytes_per_s: int
    is_undeclared: bool = False

    @property
    def declares_a_size(self) -> bool:
        """False for a file that was still being written."""
        return self.declared_bytes > 0 and not (
            self.declared_bytes > self.there_bytes
            and any(0 <= size - self.declared_bytes < _HEADER_BYTES for size in _PLACEHOLDERS)
        )


def wave_data(path: Path) -> WaveData | None:
    """What the header of a WAV file says of its samples; None for any other file."""
    try:
        with path.open("rb") as file:
            data = _data(file, path.stat().st_size)
            if data is None or data.bytes_per_s <= 0:
                return None
            rest_bytes = data.there_bytes - data.declared_bytes
            if not data.declares_a_size or rest_bytes <= data.bytes_per_s // 10:
                return data
            file.seek(data.start_bytes + data.declared_bytes)
            return data._replace(is_undeclared=not _are_chunks(file, rest_bytes))
    except (OSError, struct.error):
        return None


def _data(file: BinaryIO, size_bytes: int) -> WaveData | None:
    kind, _, form = struct.unpack("<4sI4s", file.read(12))
    if kind not in (b"RIFF", b"RF64", b"BW64") or form != b"WAVE":
        return None
    bytes_per_s, long_bytes = 0, None
    for _ in range(_MOST_CHUNKS):
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            start = file.tell()
            declared = length if long_bytes is None else long_bytes
            return WaveData(start, declared, size_bytes - start, bytes_per_s)
        content = file.read(min(length, 64))
        if name == b"fmt ":
            tag, _, rate_hz, bytes_per_s, block_bytes = struct.unpack("<HHIIH", content[:14])
            if tag in _EVEN and block_bytes:
                bytes_per_s = rate_hz * block_bytes
        elif name == b"ds64" and kind != b"RIFF":  # sizes of 64 bits
            long_bytes = struct.unpack("<QQ", content[:16])[1]
        file.seek(length + length % 2 - len(content), 1)
    return None


def _are_chunks(file: BinaryIO, left_bytes: int) -> bool:
    """Whether the rest of a file reads as chunks up to its very end."""
    position = file.tell()
    if position % 2:  # chunks begin at even places
        file.seek(1, 1)
        left_bytes -= 1
    while left_bytes >= 8:
        name, length = struct.unpack("<4sI", file.read(8))
        if not name.strip(b" ").isalnum():
            return False
        padded = length + length % 2
        if padded > left_bytes - 8 + 1:
            return False
        file.seek(padded, 1)
        left_bytes -= 8 + padded
    return True
