"""What the first frame of an MP3 file says of all others, if it does.

Without it, or where other recordings were joined on, FFmpeg guesses a length from the bit rate.
"""

import struct
from pathlib import Path
from typing import Final, NamedTuple

_READ_BYTES: Final = 4096
_TAG_BYTES: Final = 10
_RATES_HZ: Final = (44_100, 48_000, 32_000)
_DIVIDED: Final = {3: 1, 2: 2, 0: 4}  # MPEG 1, 2 and 2.5


class Mp3Header(NamedTuple):
    """Of a Xing, or Info, header.

    Attributes:
        duration_s: of all frames.
        is_whole: whether the file has as many bytes as the header says; None where it does not.
    """

    duration_s: float
    is_whole: bool | None


def mp3_header(path: Path) -> Mp3Header | None:
    """What is declared; None where nothing is."""
    try:
        with path.open("rb") as file:
            tag = file.read(_TAG_BYTES)
            start = 0
            if tag[:3] == b"ID3":  # its size has 7 bits in a byte
                start = _TAG_BYTES
                for place, part in enumerate(reversed(tag[6:10])):
                    start += part << 7 * place
            file.seek(start)
            content = file.read(_READ_BYTES)
            return _header(content, path.stat().st_size - start)
    except (OSError, struct.error):
        return None


def _header(content: bytes, there_bytes: int) -> Mp3Header | None:
    frame = content.find(b"\xff")
    place = next((at for name in (b"Xing", b"Info") if (at := content.find(name)) > frame), -1)
    if frame < 0 or place < 0:
        return None
    version, rate = content[frame + 1] >> 3 & 3, content[frame + 2] >> 2 & 3
    flags, frames, size_bytes = struct.unpack(">III", content[place + 4 : place + 16])
    if version not in _DIVIDED or rate >= len(_RATES_HZ) or not flags & 1 or not frames:
        return None
    samples = 1152 if version == 3 else 576
    duration_s = frames * samples * _DIVIDED[version] / _RATES_HZ[rate]
    has_size = flags & 2 and size_bytes
    return Mp3Header(duration_s, there_bytes - frame >= size_bytes if has_size else None)
