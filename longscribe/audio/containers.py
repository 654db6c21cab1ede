"""Files opened by FFmpeg's libraries, whatever is wrong with their headers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import av
from av.container import InputContainer

from longscribe.audio.decoder import JITTER_S, LONGEST_HOLE_S, start_of
from longscribe.audio.flac_links import flac_links
from longscribe.audio.mp3_header import mp3_header
from longscribe.audio.ogg_links import FilePart, ogg_links
from longscribe.audio.wave_header import wave_data
from longscribe.errors import RecordingError
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

# Files that name other files: whoever sends one could have any file of this machine read.
_PLAYLISTS = ("concat", "dash", "hls", "imf")

# A title or name that is not UTF-8 keeps no file closed. From version 19 on (Python 3.12 and later)
# PyAV has no such argument, and lets undecodable bytes pass.
_TAGS: Final[dict[str, Any]] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
_MATROSKA_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
# These have no header that tells a length. FFmpeg guesses it from the bit rate at the beginning, or
# takes the first and the last time stamp for it, whatever leaps between.
_WITHOUT_LENGTHS: Final = ("aac", "ac3", "adts", "amr", "dts", "eac3", "mpeg", "mpegts", "truehd")
_ABOUT: Final = 0.01
_LINKS: Final = {"ogg": ogg_links, "flac": flac_links}


class Length(NamedTuple):
    """What a file says of an audio track's length.

    Attributes:
        duration_s: from the container's beginning to the track's end; None where nothing tells.
        is_own: whether it is the track's own, so that less of it means that something is missing.
        is_undeclared: whether there is more than the header says.
    """

    duration_s: float | None
    is_own: bool
    is_undeclared: bool = False


def open_container(path: Path) -> InputContainer:
    """Open a file.

    Raises:
        RecordingError: missing, a folder, empty, a playlist, or nothing that FFmpeg can read.
    """
    try:
        size_bytes = path.stat().st_size
        if path.is_dir():
            raise RecordingError(
                translated("{path} is a folder; name the recordings inside it.").format(
                    path=shown(path)
                )
            )
        if size_bytes == 0:
            raise RecordingError(
                translated("{path} is empty (0 bytes); record or copy it again.").format(
                    path=shown(path)
                )
            )
        # "file:" keeps FFmpeg from reading a colon in a name as a protocol.
        data = wave_data(path)
        is_longer = data and (data.is_undeclared or not data.declares_a_size)
        options = {"ignore_length": "1"} if is_longer else {}
        container: InputContainer = av.open(
            f"file:{path.absolute()}", mode="r", options=options, **_TAGS
        )
    except FileNotFoundError:
        raise RecordingError(
            translated("{path} does not exist; check the path.").format(path=shown(path))
        ) from None
    except PermissionError:
        raise RecordingError(
            translated("{path} cannot be read; check its permissions.").format(path=shown(path))
        ) from None
    except av.error.FFmpegError:
        raise RecordingError(
            translated(
                "{path} is not a recording that FFmpeg can read; "
                "it is damaged, cut off before its index, or another kind of file."
            ).format(path=shown(path))
        ) from None
    except OSError as error:
        raise RecordingError(
            translated("{path} cannot be read: {reason}.").format(
                path=shown(path), reason=told(error)
            )
        ) from None
    if container.format.name in _PLAYLISTS:
        container.close()
        raise RecordingError(
            translated(
                "{path} is a playlist and no recording; name the recordings it lists."
            ).format(path=shown(path))
        )
    return container


def open_links(path: Path) -> Iterator[InputContainer]:
    """The file's container, or those of all recordings in one Ogg or FLAC file, in turn.

    Raises:
        RecordingError: as `open_container`.
    """
    with open_container(path) as container:
        name = container.format.name
        links = _LINKS[name](path) if name in _LINKS else []
        if len(links) < 2:
            yield container
            return
    for start_bytes, end_bytes in links:
        with FilePart(path, start_bytes, end_bytes) as part:
            try:
                link = av.open(part, mode="r", format=name, **_TAGS)
            except av.error.FFmpegError:
                continue  # cut off within its headers
            with link:
                yield link


def length_of(path: Path, number: int) -> Length:
    """How long an audio track of a file, or of all links of a chain, is."""
    lengths = []
    for container in open_links(path):
        tracks = container.streams.audio
        if tracks:
            lengths.append(_length_of(path, container, tracks[min(number, len(tracks)) - 1]))
    if len(lengths) == 1:
        return lengths[0]
    return Length(sum(length.duration_s or 0.0 for length in lengths), is_own=False)


def _length_of(path: Path, container: InputContainer, track: Any) -> Length:
    data = wave_data(path)
    if data is not None:
        is_longer = data.is_undeclared or not data.declares_a_size
        size_bytes = data.there_bytes if is_longer else data.declared_bytes
        return Length(size_bytes / data.bytes_per_s, is_own=True, is_undeclared=data.is_undeclared)
    if container.format.name == "mp3":
        header = mp3_header(path)
        guessed_s = (container.duration or 0) / av.time_base
        if header and abs(guessed_s - header.duration_s) < _ABOUT * header.duration_s:
            return Length(header.duration_s, is_own=not header.is_whole)
        return Length(_scanned_s(container, track), is_own=False)
    if container.format.name in _WITHOUT_LENGTHS:
        return Length(_scanned_s(container, track), is_own=False)
    start_s = start_of(container)
    # Matroska's, of its own or per language; FFmpeg gives the file's for the duration of a track.
    for name, value in track.metadata.items():
        found = _MATROSKA_TIME.match(value) if name.upper().startswith("DURATION") else None
        if found:
            hours, minutes, seconds = found.groups()
            duration_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            return Length(duration_s - start_s, is_own=True)
    if track.duration and track.time_base and not container.format.name.startswith("matroska"):
        begins_s = max(0.0, float((track.start_time or 0) * track.time_base) - start_s)
        return Length(begins_s + float(track.duration * track.time_base), is_own=True)
    if container.duration and container.duration > 0:
        is_own = not container.streams.video
        return Length(container.duration / av.time_base, is_own)
    return Length(_scanned_s(container, track), is_own=False)


def _scanned_s(container: InputContainer, track: Any) -> float | None:
    """How long a track is by its packets' time stamps, leaps that are not believed left out."""
    length_s: float | None = None
    expected_s = start_of(container)
    try:
        for packet in container.demux(track):
            if packet.pts is None or packet.time_base is None:
                continue
            time_s = float(packet.pts * packet.time_base)
            duration_s = float((packet.duration or 0) * packet.time_base)
            leap_s = time_s - expected_s
            believed_s = leap_s if -JITTER_S <= leap_s <= LONGEST_HOLE_S else 0.0
            length_s = (length_s or 0.0) + believed_s + duration_s
            expected_s = time_s + duration_s
    except av.error.FFmpegError:
        pass  # what came before counts
    return length_s


def shown(path: Path) -> str:
    """The path as one printable line, in quotes."""
    return repr(str(path))
