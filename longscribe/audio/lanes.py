"""Lanes: what is transcribed by itself, a channel of a recording, a file of several, or all of it.

An ordinary recording is one lane without a name. Several lanes share a timeline; of each only what
is its own is heard (`bleed`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from longscribe.audio.activity import ActivityListener
from longscribe.audio.bleed import are_alike, bleed_spans
from longscribe.audio.chunks import Chunk
from longscribe.audio.containers import shown
from longscribe.audio.recording import (
    BYTES_PER_SAMPLE,
    SAMPLE_RATE_HZ,
    AcceleratedAudio,
    Recording,
    accelerate,
)
from longscribe.audio.voice_activity import Spans, levels_db
from longscribe.errors import OptionError, RecordingError
from longscribe.options import VoiceActivity
from longscribe.wording.catalog import translated

_RAMP_SAMPLES: Final = 80  # 5 ms, so that muting makes no click
_BLOCK_SAMPLES: Final = 1 << 20


class Lane(NamedTuple):
    """A channel, a file or a whole recording.

    Attributes:
        recording: as probed; its `channel` says which is heard.
        name: who speaks in it; empty in an ordinary recording.
        file: number of the file, of several.
    """

    recording: Recording
    name: str = ""
    file: int = 0


class HeardLane(NamedTuple):
    """A lane's samples.

    Attributes:
        audio: as the model hears them.
        name: who speaks in it; empty in an ordinary recording.
        muted_s: seconds in which another lane is heard and nothing of its own.
    """

    audio: AcceleratedAudio
    name: str = ""
    muted_s: float = 0.0


def lanes_of(
    recordings: Sequence[Recording], *, by_channel: bool, names: Sequence[str]
) -> list[Lane]:
    """The lanes of a recording, or of several of one conversation.

    Args:
        recordings: as probed.
        by_channel: whether each channel is a lane, and not each file.
        names: of the lanes, in their order; the others are named by their number or file.

    Raises:
        RecordingError: there is one channel and nothing to tell apart.
        OptionError: there are more names than lanes.
    """
    if not by_channel and len(recordings) == 1:
        return [Lane(recordings[0])]
    lanes = []
    for file, recording in enumerate(recordings):
        channels = recording.channels if by_channel else 1
        if channels < 2:
            lanes.append(Lane(recording, _file_name(recordings, file), file))
            continue
        for channel in range(1, channels + 1):
            name = translated("Channel {number}").format(number=channel)
            if len(recordings) > 1:
                name = f"{_file_name(recordings, file)}, {name}"
            heard = recording.model_copy(update={"channel": channel})
            lanes.append(Lane(heard, name, file))
    if len(lanes) == 1:
        raise RecordingError(
            translated(
                "{path} has one channel: there are none to tell speakers by; "
                "use --speakers auto, or leave it out."
            ).format(path=shown(recordings[0].path))
        )
    if len(names) > len(lanes):
        raise OptionError(
            translated("--speaker-names: {names} names for {lanes} channels or files.").format(
                names=len(names), lanes=len(lanes)
            )
        )
    return [lane._replace(name=name) for lane, name in zip(lanes, names, strict=False)] + lanes[
        len(names) :
    ]


def declared_duration_s(lanes: Sequence[Lane]) -> float | None:
    """How much there is to hear in all, as the files say; None where one does not."""
    declared = [lane.recording.declared_duration_s for lane in lanes]
    return None if None in declared else sum(filter(None, declared))


def hear_lanes(
    lanes: Sequence[Lane],
    speed: float,
    folder: Path,
    *,
    keep_own_tempo: bool,
    vad: VoiceActivity = "model",
    on_progress: Callable[[float], None] | None = None,
) -> list[HeardLane]:
    """Decode every lane, and mute in each what it only has from another.

    One lane after the other, as a stream: memory is as for one.

    Args:
        lanes: of one timeline.
        speed: tempo that they are brought to.
        folder: for the samples.
        keep_own_tempo: whether they are kept at their own tempo, too.
        vad: what is heard: speech, all sound, or everything.
        on_progress: called with the seconds of a lane decoded so far.

    Raises:
        RecordingError: one cannot be read, or all hold the same sound.
        ResourceError, OutputError: the samples cannot be written.
    """
    if len(lanes) == 1:
        audio = _heard_while_decoded(
            lanes[0].recording, speed, folder, keep_own_tempo, vad, on_progress
        )
        return [HeardLane(audio, lanes[0].name)]
    heard = []
    for number, lane in enumerate(lanes):
        prefix = f"{number + 1}."
        own = keep_own_tempo or speed != 1.0
        heard.append(
            accelerate(
                lane.recording,
                speed,
                folder / f"{prefix}samples.pcm",
                on_progress,
                own_tempo_path=folder / f"{prefix}own_tempo.pcm" if own else None,
            )
        )
    own_paths = [audio.own_tempo_path or audio.pcm_path for audio in heard]
    levels = [
        levels_db(path, audio.original_samples) - np.float32(audio.gain_db)
        for path, audio in zip(own_paths, heard, strict=True)
    ]
    if are_alike(levels):
        raise RecordingError(
            translated(
                "{path}: all channels hold the same sound: there is nothing to tell speakers by; "
                "use --speakers auto, or leave it out."
            ).format(path=shown(lanes[0].recording.path))
        )
    results = []
    spans = bleed_spans(levels, [lane.file for lane in lanes])
    for lane, path, audio, muted in zip(lanes, own_paths, heard, spans, strict=True):
        for pcm_path in {path, audio.pcm_path}:
            samples = audio.samples if pcm_path == audio.pcm_path else audio.original_samples
            mute(pcm_path, muted * (samples / max(1, audio.original_samples)), samples)
        if not keep_own_tempo and audio.own_tempo_path is not None:
            audio.own_tempo_path.unlink()
            audio = audio.model_copy(update={"own_tempo_path": None})
        muted_s = float((muted[:, 1] - muted[:, 0]).sum())
        results.append(HeardLane(audio, lane.name, muted_s))
    return results


def _heard_while_decoded(
    recording: Recording,
    speed: float,
    folder: Path,
    keep_own_tempo: bool,
    vad: VoiceActivity,
    on_progress: Callable[[float], None] | None,
) -> AcceleratedAudio:
    pcm_path = folder / "samples.pcm"
    with ActivityListener(pcm_path, vad) as listener:
        audio = accelerate(
            recording,
            speed,
            pcm_path,
            on_progress,
            own_tempo_path=folder / "own_tempo.pcm" if keep_own_tempo else None,
            on_written=listener.reach,
        )
        try:
            activity_path = listener.save(audio.samples)
        except OSError:  # no room for it: then it is found again when it is wanted
            return audio
    return audio.model_copy(update={"activity_path": activity_path})


def without_own_tempo(lane: HeardLane) -> HeardLane:
    """The lane as if its samples were not kept at their own tempo: nothing is heard again."""
    return lane._replace(audio=lane.audio.model_copy(update={"own_tempo_path": None}))


def in_order(chunks: Sequence[Sequence[Chunk]], names: Sequence[str]) -> list[Chunk]:
    """The chunks of all lanes by where they lie, numbered anew, each with its lane.

    Args:
        chunks: of each lane.
        names: of the lanes.
    """
    ordered = sorted(
        ((chunk, lane) for lane, own in enumerate(chunks) for chunk in own),
        key=lambda pair: (pair[0].original_start_s, pair[1]),
    )
    return [
        chunk.model_copy(
            update={"index": n, "count": len(ordered), "lane": lane, "speaker": names[lane]}
        )
        for n, (chunk, lane) in enumerate(ordered)
    ]


def mute(pcm_path: Path, spans: Spans, samples: int) -> None:
    """Set stretches of a scratch file to silence, with short ramps at their ends.

    Args:
        pcm_path: int16 mono at 16 kHz.
        spans: in seconds of the file, shape (n, 2).
        samples: in it.
    """
    fades = np.linspace(1.0, 0.0, _RAMP_SAMPLES, dtype=np.float32)
    with pcm_path.open("r+b") as file:
        for start_s, end_s in spans.tolist():
            start, stop = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
            stop = min(stop, samples)
            if stop - start < 2 * _RAMP_SAMPLES:
                continue
            for at, ramp in ((start, fades), (stop - _RAMP_SAMPLES, fades[::-1])):
                file.seek(at * BYTES_PER_SAMPLE)
                edge = np.frombuffer(file.read(_RAMP_SAMPLES * BYTES_PER_SAMPLE), "<i2")
                file.seek(at * BYTES_PER_SAMPLE)
                file.write((edge * ramp).astype("<i2").tobytes())
            for at in range(start + _RAMP_SAMPLES, stop - _RAMP_SAMPLES, _BLOCK_SAMPLES):
                count = min(_BLOCK_SAMPLES, stop - _RAMP_SAMPLES - at)
                file.seek(at * BYTES_PER_SAMPLE)
                file.write(bytes(count * BYTES_PER_SAMPLE))


def _file_name(recordings: Sequence[Recording], file: int) -> str:
    """A file's name without its suffix; with its number where two have the same."""
    stems = [recording.path.stem for recording in recordings]
    stem = stems[file]
    return stem if stems.count(stem) == 1 else f"{stem} {file + 1}"
