"""Sounds that the benchmarks put together: read whole, and written as WAV files."""

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import SAMPLE_RATE_HZ, decode, probe

Samples = npt.NDArray[np.int16]


def read_sound(path: Path) -> Samples:
    """All samples of a recording, (n_samples,), in mono at SAMPLE_RATE_HZ."""
    return as_int16(np.concatenate(list(decode(probe(path)))))


def as_int16(samples: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> Samples:
    """Samples of full scale 1 as int16; what is louder is clipped."""
    return np.round(samples * 32_768).clip(-32_768, 32_767).astype(np.int16)


def write_wav(path: Path, samples: Samples, times: int = 1) -> Path:
    """Write a WAV file at SAMPLE_RATE_HZ and return its path.

    Args:
        path: of the file.
        samples: (n_samples,), or (n_channels, n_samples).
        times: that they are written, one after the other.
    """
    channels = np.atleast_2d(samples)
    frames = channels.T.astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((len(channels), 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        for _ in range(times):
            file.writeframes(frames)
    return path
