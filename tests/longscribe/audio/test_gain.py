"""A recording's level does not matter: floats above full scale, and whispers in the last bits."""

from pathlib import Path

import numpy as np
import pytest

from longscribe.audio.recording import AcceleratedAudio, accelerate, probe, read_samples
from tests.sounds import bursts, write_sound

TALK = bursts([(0.5, 1.5), (3.0, 4.5)], 5.0)
PEAK = float(np.abs(TALK).max())


def heard(folder: Path, samples: np.ndarray, codec: str) -> tuple[AcceleratedAudio, np.ndarray]:
    path = write_sound(folder / "a.wav", samples.astype(np.float32), codec=codec)
    audio = accelerate(probe(path), 1.0, folder / "a.pcm")
    return audio, read_samples(audio.pcm_path, 0, audio.samples) / 32768.0


@pytest.mark.parametrize("gain", [3.0, 10.0, 1000.0])
def test_floats_far_above_full_scale_are_brought_down(tmp_path: Path, gain: float) -> None:
    audio, samples = heard(tmp_path, TALK * gain / PEAK, "pcm_f32le")
    assert audio.gain_db == pytest.approx(-20 * np.log10(gain), abs=0.2)
    assert np.abs(samples).max() == pytest.approx(1.0, abs=0.01)
    assert np.corrcoef(TALK, samples)[0, 1] > 0.999


@pytest.mark.parametrize(
    ("peak_db", "codec"), [(-26, "pcm_s16le"), (-60, "pcm_s24le"), (-68, "pcm_f32le")]
)
def test_quiet_recordings_are_brought_up(tmp_path: Path, peak_db: int, codec: str) -> None:
    """In 16 bits what lies 60 dB down would be whole numbers up to 33."""
    audio, samples = heard(tmp_path, TALK / PEAK * 10 ** (peak_db / 20), codec)
    assert audio.gain_db == pytest.approx(20 * np.log10(0.5) - peak_db, abs=0.2)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.01)
    assert audio.clipped_samples == 0
    assert np.corrcoef(TALK, samples)[0, 1] > 0.999


@pytest.mark.parametrize("peak_db", [-3, -19])
def test_others_are_left_as_they_are(tmp_path: Path, peak_db: int) -> None:
    audio, samples = heard(tmp_path, TALK / PEAK * 10 ** (peak_db / 20), "pcm_f32le")
    assert audio.gain_db == 0.0
    assert np.abs(samples).max() == pytest.approx(10 ** (peak_db / 20), abs=0.001)


def test_silence_stays_silence(tmp_path: Path) -> None:
    audio, samples = heard(tmp_path, np.zeros(16_000), "pcm_f32le")
    assert (audio.gain_db, np.abs(samples).max()) == (0.0, 0.0)


def test_the_last_bits_of_a_silence_do_not_become_loud(tmp_path: Path) -> None:
    audio, samples = heard(tmp_path, TALK / PEAK * 1e-6, "pcm_f32le")
    assert audio.gain_db == pytest.approx(69.5, abs=0.1)
    assert np.abs(samples).max() < 0.01
