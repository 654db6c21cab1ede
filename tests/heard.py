"""What is heard of a file: the samples, when they are loud, and what FFmpeg's own program hears."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import AcceleratedAudio, Recording, accelerate, probe, read_samples
from tests.sounds import RATE_HZ

Spans = list[tuple[float, float]]

_BLOCK_S = 0.02
_SAME_SOUND_S = 0.1  # a pause shorter than this is within a sound


class Heard(NamedTuple):
    """A file as the chain takes it in; `spans` are its loud parts, in seconds."""

    recording: Recording
    audio: AcceleratedAudio
    samples: npt.NDArray[np.float64]

    @property
    def spans(self) -> Spans:
        return loud_spans(self.samples)


def hear(path: Path, track: int | None = None) -> Heard:
    recording = probe(path, track)
    audio = accelerate(recording, 1.0, path.with_name(path.name + ".pcm"))
    return Heard(recording, audio, read_samples(audio.pcm_path, 0, audio.samples) / 32768.0)


def tones(spans: Spans, duration_s: float, rate_hz: int = RATE_HZ, hz: float = 440.0):
    """float32 samples: a tone of half of full scale within the spans (seconds), nothing else."""
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    samples = 0.5 * np.sin(2 * np.pi * hz * times_s)
    loud = np.zeros(len(samples), bool)
    for start_s, end_s in spans:
        loud[round(start_s * rate_hz) : round(end_s * rate_hz)] = True
    return np.where(loud, samples, 0.0).astype(np.float32)


def loud_spans(samples: npt.NDArray[np.float64], of_loudest: float = 0.2) -> Spans:
    """Where the sound is at least a fifth of its loudest level."""
    block = round(_BLOCK_S * RATE_HZ)
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    levels = np.sqrt(np.square(blocks).mean(axis=1))
    spans: Spans = []
    for place in np.flatnonzero(levels > of_loudest * max(levels.max(initial=0.0), 0.01)):
        start_s, end_s = float(place * _BLOCK_S), float((place + 1) * _BLOCK_S)
        if spans and start_s - spans[-1][1] < _SAME_SOUND_S:
            spans[-1] = (spans[-1][0], end_s)
        else:
            spans.append((start_s, end_s))
    return spans


def are_near(spans: Spans, wanted: Spans, within_s: float = 0.08) -> bool:
    """Whether sounds begin and end when they should; to be asserted with the spans in sight."""
    return len(spans) == len(wanted) and bool(
        np.allclose(np.array(spans), np.array(wanted), rtol=0, atol=within_s)
    )


def ffmpeg_hears(path: Path, track: int | None = None) -> npt.NDArray[np.float64] | None:
    """The samples of FFmpeg's program as openai-whisper calls it; None where it is not there."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    map_ = [] if track is None else ["-map", f"0:a:{track - 1}"]
    command = [program, "-v", "error", "-threads", "1", "-i", f"file:{path}", *map_]
    command += ["-f", "s16le", "-ac", "1", "-acodec", "pcm_s16le", "-ar", str(RATE_HZ), "-"]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    return np.frombuffer(output, "<i2") / 32768.0
