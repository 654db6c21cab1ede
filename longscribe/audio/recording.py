"""Any recording that FFmpeg reads, streamed to 16 kHz mono samples at a chosen tempo.

PyAV, because its wheel carries FFmpeg's libraries: nothing to install by hand, no child process,
and frames arrive one by one, so ten hours need no more memory than ten minutes. The tempo change
is FFmpeg's `atempo` (WSOLA, pitch kept).
"""

import errno
import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from longscribe.audio.containers import length_of, open_container, open_links, shown
from longscribe.audio.decoder import AudioDecoder
from longscribe.audio.levels import Adjustment, LevelMeter
from longscribe.audio.tempo import Samples as Samples
from longscribe.audio.tempo import Tempo
from longscribe.audio.tracks import Track, choose_track
from longscribe.errors import OutputError, RecordingError, ResourceError
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

SAMPLE_RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2  # the scratch file holds little-endian int16, the precision Whisper was fed

# A declared duration is trusted as "something is missing" only beyond this: durations estimated
# from a bit rate are off by a little.
_MISSING_AT_LEAST_S = 1.0
_MISSING_AT_LEAST_FRACTION = 0.02

# Of the slowest codecs for speech, half: no sound needs less, whatever a header declares.
_LEAST_BIT_RATE = 350

_BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ  # at work on at once while accelerating

_CLIPPED_LEVEL = 1.0 - 2.0**-15


class Recording(BaseModel):
    """What the container says of a recording before it is decoded.

    Attributes:
        declared_duration_s: of the track that is heard; None where nothing tells.
        has_own_length: whether that is the track's, and not that of a picture beside it.
        is_undeclared: whether there is more than the header says.
        track: that is heard, of `tracks`, counted from 1.
        silent_tracks: those in which nothing was found.
        channel: that is heard, of `channels`, counted from 1; None for all of them, mixed.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    declared_duration_s: float | None
    has_own_length: bool = True
    is_undeclared: bool = False
    track: int = 1
    tracks: int = 1
    silent_tracks: tuple[int, ...] = ()
    channel: int | None = None


class AcceleratedAudio(BaseModel):
    """The scratch file of one recording: int16 mono samples at 16 kHz, sped up by `speed`.

    `original_samples` counts the recording at 16 kHz before the tempo change, `samples` what is in
    the file; their ratio, not `speed`, maps times back (`Timeline`). `own_tempo_path` is a file of
    the samples before it, where they were kept; `activity_path` one of what was heard in them while
    they were written (`activity`).
    """

    model_config = ConfigDict(frozen=True)

    pcm_path: Path
    speed: float
    original_samples: int
    samples: int
    own_tempo_path: Path | None = None
    activity_path: Path | None = None
    missing_s: float = 0.0
    filled_s: float = 0.0
    invalid_samples: int = 0
    clipped_samples: int = 0
    damaged_packets: int = 0
    cancelled_s: float = 0.0
    gain_db: float = 0.0
    offset: float = 0.0  # that was taken away, of full scale

    @property
    def original_duration_s(self) -> float:
        """Seconds of the recording that could be decoded."""
        return self.original_samples / SAMPLE_RATE_HZ

    @property
    def duration_s(self) -> float:
        """Seconds of the accelerated audio."""
        return self.samples / SAMPLE_RATE_HZ


def probe(path: Path, audio_track: int | None = None) -> Recording:
    """Open a recording and read its description.

    Args:
        path: of the recording.
        audio_track: number of the track that is wanted, from 1; None for the best.

    Raises:
        RecordingError: missing, a folder, empty, not audio, or without that audio track.
    """
    with open_container(path) as container:
        tracks = container.streams.audio
        if not tracks:
            raise RecordingError(
                translated(
                    "{path} has no audio track; give a recording or a video with sound."
                ).format(path=shown(path))
            )
        if audio_track is not None and not 1 <= audio_track <= len(tracks):
            raise RecordingError(
                translated(
                    "{path} has {tracks} audio track(s) and no track {track}; "
                    "choose another with --audio-track."
                ).format(path=shown(path), tracks=len(tracks), track=audio_track)
            )
        track = choose_track(container) if audio_track is None else Track(audio_track, len(tracks))
        stream: Any = tracks[track.number - 1]
        context: Any = stream.codec_context
        length = length_of(path, track.number)
        return Recording(
            path=path,
            container=container.format.name,
            codec=context.name,
            sample_rate_hz=context.sample_rate or 0,
            channels=context.channels or 0,
            declared_duration_s=length.duration_s or None,
            has_own_length=length.is_own,
            is_undeclared=length.is_undeclared,
            track=track.number,
            tracks=track.total,
            silent_tracks=track.silent,
        )


def accelerate(
    recording: Recording,
    speed: float,
    pcm_path: Path,
    on_progress: Callable[[float], None] | None = None,
    *,
    own_tempo_path: Path | None = None,
    on_written: Callable[[int], None] = lambda samples: None,
) -> AcceleratedAudio:
    """Decode a recording to `pcm_path` at `speed` times its tempo, pitch kept.

    Args:
        recording: as `probe` returned it.
        speed: 0.5 to 2.0; at 1.0 the samples are left untouched.
        pcm_path: the file to write: int16 little-endian, mono, 16 kHz.
        on_progress: called with the seconds of the recording decoded so far, about once a minute
            of audio.
        own_tempo_path: another file, for the same samples at their own tempo.
        on_written: called with the samples that `pcm_path` has, some seconds of them after each
            other; with 0 before it is written, and again where it has to be written anew.

    Raises:
        RecordingError: nothing in the file could be decoded, or it changed meanwhile.
        ResourceError: the disk is or would be too full.
        OutputError: the scratch file cannot be written.
    """
    copies = 1 / speed + (own_tempo_path is not None)
    needed_bytes = int(_longest_s(recording) * copies * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE)
    free_bytes = shutil.disk_usage(pcm_path.parent).free
    if needed_bytes > free_bytes:
        raise _disk_full(pcm_path.parent, needed_bytes, free_bytes)

    before = _state_of(recording.path)
    try:
        paths = (pcm_path, own_tempo_path)
        written = _written(recording, speed, paths, Adjustment(), on_progress, on_written)
        better = written.better
        if better != Adjustment() and recording.path.exists():  # all of it again
            written = _written(recording, speed, paths, better, None, on_written)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(pcm_path.parent, needed_bytes, 0) from None
        raise OutputError(
            translated(
                "cannot write the scratch file {path}: {reason}; "
                "set TMPDIR to a folder that can be written."
            ).format(path=pcm_path, reason=told(error))
        ) from None
    after = _state_of(recording.path)
    if None not in (before, after) and before != after:
        raise RecordingError(
            translated(
                "{path} changed while it was read; run it again when it is complete."
            ).format(path=shown(recording.path))
        )
    if written.original_samples == 0:
        raise RecordingError(
            translated(
                "{path} holds no sound that can be decoded; "
                "it is damaged, empty or not a recording."
            ).format(path=shown(recording.path))
        )
    source = written.source
    return AcceleratedAudio(
        pcm_path=pcm_path,
        speed=speed,
        original_samples=written.original_samples,
        samples=written.samples,
        own_tempo_path=own_tempo_path,
        missing_s=_missing_s(recording, written.original_samples / SAMPLE_RATE_HZ + source.leapt_s),
        filled_s=source.filled_samples / SAMPLE_RATE_HZ,
        invalid_samples=source.invalid_samples,
        clipped_samples=written.clipped_samples,
        damaged_packets=source.damaged_packets,
        cancelled_s=source.cancelled_samples / SAMPLE_RATE_HZ,
        gain_db=20.0 * math.log10(written.adjustment.gain),
        offset=written.adjustment.offset,
    )


class _Written(NamedTuple):
    source: AudioDecoder
    original_samples: int
    samples: int
    clipped_samples: int
    adjustment: Adjustment
    better: Adjustment  # what a second time would do, of the same samples


def _written(
    recording: Recording,
    speed: float,
    paths: tuple[Path, Path | None],
    adjustment: Adjustment,
    on_progress: Callable[[float], None] | None,
    on_written: Callable[[int], None],
) -> _Written:
    on_written(0)
    tempo = Tempo(speed, SAMPLE_RATE_HZ)
    samples = original_samples = clipped_samples = 0
    next_report_s = 60.0
    meter = LevelMeter()
    source = _decoder(recording)
    pcm_path, own_tempo_path = paths
    with (
        pcm_path.open("wb") as file,
        own_tempo_path.open("wb") if own_tempo_path else nullcontext() as own_tempo,
    ):
        for block in _ahead(source.blocks()):
            original_samples += len(block)
            meter.push(block)
            heard = adjustment.applied(block)
            clipped_samples += int(np.count_nonzero(np.abs(heard) >= _CLIPPED_LEVEL))
            if own_tempo:
                _write(own_tempo, heard)
            for piece in tempo.push(heard):
                samples += _write(file, piece)
            file.flush()
            on_written(samples)
            if on_progress and original_samples / SAMPLE_RATE_HZ >= next_report_s:
                on_progress(original_samples / SAMPLE_RATE_HZ)
                next_report_s = original_samples / SAMPLE_RATE_HZ + 60.0
        # atempo's last fragment ends up to 40 ms off: with exactly original / speed samples, a
        # time maps back by the ratio of the two counts without any drift.
        due_samples = round(original_samples / speed)
        for piece in tempo.flush():
            samples += _write(file, piece[: max(0, due_samples - samples)])
        samples += _write(file, np.zeros(max(0, due_samples - samples), dtype=np.float32))
    better = meter.adjustment()
    return _Written(source, original_samples, samples, clipped_samples, adjustment, better)


def decode(recording: Recording) -> Iterator[Samples]:
    """A recording's samples at its own tempo, on the timeline that transcripts have.

    Returns:
        blocks of float32 mono samples at 16 kHz, of about a second each.
    """
    yield from _decoder(recording).blocks()


def _decoder(recording: Recording) -> AudioDecoder:
    return AudioDecoder(
        open_links(recording.path),
        recording.declared_duration_s,
        SAMPLE_RATE_HZ,
        recording.track,
        recording.channel,
    )


def read_samples(pcm_path: Path, start_sample: int, stop_sample: int) -> npt.NDArray[np.int16]:
    """Samples [start, stop) of a scratch file, int16; read, not mapped: no memory stays taken."""
    return np.fromfile(
        pcm_path,
        dtype="<i2",
        count=stop_sample - start_sample,
        offset=start_sample * BYTES_PER_SAMPLE,
    )


def to_float(samples: npt.NDArray[np.int16]) -> Samples:
    """int16 samples as float32 in [-1, 1), scaled as `whisper.load_audio` does."""
    return samples.astype(np.float32) / 32768.0


def _ahead(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same samples in longer blocks, the next of which is being decoded meanwhile."""

    def take() -> Samples | None:
        taken, count = [], 0
        for block in blocks:
            taken.append(block)
            count += len(block)
            if count >= _BLOCK_SAMPLES:
                break
        return np.concatenate(taken) if taken else None

    with ThreadPoolExecutor(1, thread_name_prefix="decode") as thread:
        following = thread.submit(take)
        while (block := following.result()) is not None:
            following = thread.submit(take)
            yield block


def _write(file: Any, samples: Samples) -> int:
    scaled = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2")
    file.write(scaled.tobytes())
    return len(scaled)


def _missing_s(recording: Recording, decoded_s: float) -> float:
    declared_s = recording.declared_duration_s
    if declared_s is None or not recording.has_own_length:
        return 0.0
    missing_s = declared_s - decoded_s
    if missing_s < max(_MISSING_AT_LEAST_S, declared_s * _MISSING_AT_LEAST_FRACTION):
        return 0.0
    return missing_s


def _longest_s(recording: Recording) -> float:
    """The declared length, unless the file is too small for it."""
    state = _state_of(recording.path)
    longest_s = state[0] * 8 / _LEAST_BIT_RATE if state else math.inf
    return min(recording.declared_duration_s or 0.0, longest_s)


def _state_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written; None for one that was deleted, which is still read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _disk_full(folder: Path, needed_bytes: int, free_bytes: int) -> ResourceError:
    return ResourceError(
        translated(
            "the disk of {folder} is too full: the samples need {needed:.0f} MB there and "
            "{free:.0f} MB are free; make room or set TMPDIR to another disk."
        ).format(folder=folder, needed=needed_bytes / 1e6, free=free_bytes / 1e6)
    )
