"""What the page plays and draws: the recording, or a copy that browsers play, and its loudness."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame

from longscribe.audio.recording import (
    SAMPLE_RATE_HZ,
    AcceleratedAudio,
    Recording,
    Samples,
    decode,
    read_samples,
)
from longscribe.options import PageAudio

# (container as FFmpeg names it, codec) that current Chromium, Firefox and Safari play. Ogg needs
# Safari 18.4 or later.
_PLAYABLE = frozenset(
    {
        *(("mov,mp4,m4a,3gp,3g2,mj2", codec) for codec in ("aac", "mp3")),
        *(("ogg", codec) for codec in ("opus", "vorbis")),
        *(("matroska,webm", codec) for codec in ("opus", "vorbis")),
        *(("wav", codec) for codec in ("pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_u8")),
        ("mp3", "mp3"),
        ("mp3", "mp3float"),
        ("flac", "flac"),
        ("aac", "aac"),
    }
)
_MATROSKA_SUFFIXES = frozenset({".mkv", ".mka"})  # which browsers take for another kind than webm

_LEVELS = 4000  # columns of the overview: more than a screen is wide
_EVERY = 8  # samples: every eighth tells how loud it is as well as all do
_BLOCK_SAMPLES = 1 << 20  # a multiple of _EVERY
_QUIETEST_DB = -50.0  # below the loudest column: drawn as nothing
_COPY_PACE = 150.0  # x real time
_BIT_RATE = 40_000  # AAC of 16 kHz speech: about 18 MB an hour


class Sound(NamedTuple):
    """What a page needs to know of its recording's sound.

    Attributes:
        recording: as probed.
        levels: loudness of equal parts of the recording, 0 to 255 each.
        levels_s: seconds that they cover.
        audio: how the page gets its sound, as the user chose.
        others: recordings of the same conversation, mixed with it in a copy.
    """

    recording: Recording
    levels: bytes
    levels_s: float
    audio: PageAudio = "auto"
    others: tuple[Recording, ...] = ()

    @property
    def way(self) -> PageAudio:
        """`link`, `copy` or `embed`: auto links to what browsers play and copies the rest."""
        if self.others:  # a link would lead to one of them
            return "embed" if self.audio == "embed" else "copy"
        if self.audio != "auto":
            return self.audio
        # A browser plays the first track.
        plays = self.recording.track == 1 and _plays_everywhere(self.recording)
        return "link" if plays else "copy"

    def copying_s(self, duration_s: float) -> float:
        """About how long encoding a copy takes for a recording of this length."""
        return 0.0 if self.way == "link" else duration_s / _COPY_PACE


def loudness(audios: Sequence[AcceleratedAudio]) -> bytes:
    """Loudness of up to 4000 equal parts of a recording, 0 (quiet) to 255, on a scale of decibels.

    Read from the scratch files block by block: a second for ten hours.

    Args:
        audios: what is heard at once: of several, the sum of their powers counts.
    """
    samples = max(audio.samples for audio in audios)
    columns = min(_LEVELS, samples // (SAMPLE_RATE_HZ // 50))
    if columns == 0:
        return b""
    taken = -(-samples // _EVERY)
    bounds = np.linspace(0, taken, columns + 1).astype(np.int64)
    power = np.zeros(columns)
    for audio in audios:
        _add_power(power, bounds, audio)
    power /= np.diff(bounds)
    loudest = float(np.percentile(power, 99.0)) or float(power.max())
    if loudest <= 0.0:
        return bytes(columns)
    decibels = 10.0 * np.log10(np.maximum(power / loudest, 1e-12))
    scaled = np.clip(1.0 - decibels / _QUIETEST_DB, 0.0, 1.0)
    return np.rint(255.0 * scaled).astype(np.uint8).tobytes()


def _add_power(
    power: npt.NDArray[np.float64], bounds: npt.NDArray[np.int64], audio: AcceleratedAudio
) -> None:
    """Add up the squares of a scratch file's samples between the bounds."""
    for start in range(0, audio.samples, _BLOCK_SAMPLES):
        block = read_samples(audio.pcm_path, start, min(audio.samples, start + _BLOCK_SAMPLES))
        squares = block[::_EVERY].astype(np.float32) ** 2
        begin = start // _EVERY
        first = int(np.searchsorted(bounds, begin, side="right")) - 1
        last = int(np.searchsorted(bounds, begin + len(squares), side="left"))
        edges = np.maximum(bounds[first:last] - begin, 0)
        power[first:last] += np.add.reduceat(squares, edges, dtype=np.float64)


def link_to(recording: Path, folder: Path) -> str:
    """The recording's address as seen from a page in `folder`, relative if it can be."""
    try:
        relative = os.path.relpath(recording.resolve(), folder.resolve())
    except ValueError:  # on another drive
        return recording.resolve().as_uri()
    # "./" keeps a colon in the first name from being read as a scheme.
    return "./" + quote(Path(relative).as_posix())


def encode_copy(recording: Recording, path: Path, others: Sequence[Recording] = ()) -> None:
    """Write the recording as AAC in MP4, mono at 16 kHz: small, and every browser plays it.

    Its timeline is the transcript's: what is damaged or missing in the recording is as long here.

    Raises:
        OSError: the file cannot be written.
    """
    # "+faststart": the index goes to the front, so that a browser can seek while it loads.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = _BIT_RATE
        written = 0
        for block in _mixed([decode(one) for one in (recording, *others)]):
            frame = AudioFrame.from_ndarray(block.reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, written
            written += len(block)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _mixed(streams: Sequence[Iterator[Samples]]) -> Iterator[Samples]:
    """Streams of samples as one, as long as the longest, in blocks; no louder than full scale."""
    if len(streams) == 1:
        yield from streams[0]
        return
    held = [np.empty(0, np.float32) for _ in streams]
    under_way = set(range(len(streams)))
    while under_way or any(map(len, held)):
        for n in sorted(under_way):
            while len(held[n]) < SAMPLE_RATE_HZ:
                block = next(streams[n], None)
                if block is None:
                    under_way.discard(n)
                    break
                held[n] = np.concatenate([held[n], block])
        mix = np.zeros(min(SAMPLE_RATE_HZ, max(map(len, held))), np.float32)
        for n, samples in enumerate(held):
            part = samples[: len(mix)]
            mix[: len(part)] += part
            held[n] = samples[len(mix) :]
        if len(mix):
            yield np.clip(mix, -1.0, 1.0)


def _plays_everywhere(recording: Recording) -> bool:
    kind = (recording.container, recording.codec)
    return kind in _PLAYABLE and recording.path.suffix.lower() not in _MATROSKA_SUFFIXES
