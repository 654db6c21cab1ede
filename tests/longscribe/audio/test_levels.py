"""Recordings of any level are brought up, or down, without clipping what was said in them."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.heard import Heard, hear, tones
from tests.sounds import RATE_HZ

SPANS = [(0.5, 1.5), (2.0, 3.0)]
TONE = 2 * tones(SPANS, 3.5).astype(np.float64)  # up to full scale
IN_TONE = np.abs(TONE) > 0
NOISE = np.random.default_rng(0).normal(size=len(TONE))


def wav(path: Path, channels: list[npt.NDArray[np.float64]], bits: int) -> Path:
    """A WAV file of whole numbers, or of floats for 32 bits, clipped as a recorder would."""
    values = np.stack(channels, axis=1)
    is_float = bits == 32
    if is_float:
        content = values.astype("<f4").tobytes()
    else:
        whole = np.clip(np.rint(values * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if bits == 8:
            content = (whole + 128).astype(np.uint8).tobytes()
        elif bits == 16:
            content = whole.astype("<i2").tobytes()
        else:
            content = whole.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
    block = len(channels) * bits // 8
    header = struct.pack("<HHIIHH", 3 if is_float else 1, len(channels), RATE_HZ,
                         RATE_HZ * block, block, bits)  # fmt: skip
    size = len(content)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + header
        + b"data" + struct.pack("<I", size) + content
    )  # fmt: skip
    return path


def level(db: float) -> float:
    return float(10 ** (db / 20))


def likeness(heard: Heard, wanted: npt.NDArray[np.float64] = TONE) -> float:
    """How much of what is heard is the tone: 1 is all."""
    return float(np.corrcoef(heard.samples, wanted)[0, 1])


def tone_peak(heard: Heard) -> float:
    return float(np.quantile(np.abs(heard.samples[IN_TONE]), 0.99))


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("peak_db", [-20.5, -30, -40, -50, -60, -70])
def test_quiet_recordings_are_heard_at_a_good_level(
    tmp_path: Path, peak_db: float, bits: int
) -> None:
    heard = hear(wav(tmp_path / "a.wav", [TONE * level(peak_db)], bits))
    # In 16 bits what is 70 dB down are numbers up to 10.
    assert tone_peak(heard) == pytest.approx(0.5, abs=0.06)
    assert likeness(heard) > (0.99 if bits == 16 else 0.999)
    assert heard.audio.clipped_samples == 0


@pytest.mark.parametrize("peak_db", [6, 12, 20, 40, 60])
def test_floats_above_full_scale_are_brought_down(tmp_path: Path, peak_db: float) -> None:
    heard = hear(wav(tmp_path / "a.wav", [TONE * level(peak_db)], 32))
    assert tone_peak(heard) == pytest.approx(1.0, abs=0.02)
    assert likeness(heard) > 0.999
    assert heard.audio.clipped_samples <= 0.01 * len(TONE)


@pytest.mark.parametrize("peak_db", [-3, -20.5, -30])
def test_eight_bits_are_heard(tmp_path: Path, peak_db: float) -> None:
    heard = hear(wav(tmp_path / "a.wav", [TONE * level(peak_db)], 8))
    assert tone_peak(heard) == pytest.approx(level(-3) if peak_db == -3 else 0.5, abs=0.1)
    assert likeness(heard) > 0.99


@pytest.mark.parametrize("offset", [0.02, -0.1, 0.5, -0.9])
@pytest.mark.parametrize("peak_db", [-40, -60, -30])
def test_a_constant_offset_is_not_a_level(tmp_path: Path, offset: float, peak_db: float) -> None:
    """Sound cards without a capacitor: all of the level is a constant, the voice far below it."""
    heard = hear(wav(tmp_path / "a.wav", [TONE * level(peak_db) + offset], 24))
    assert tone_peak(heard) == pytest.approx(0.5, abs=0.05)
    assert likeness(heard) > 0.99
    assert abs(heard.samples.mean()) < 0.01


@pytest.mark.parametrize("offset", [0.3, -0.3])
def test_the_offset_of_a_loud_recording_goes_as_well(tmp_path: Path, offset: float) -> None:
    heard = hear(wav(tmp_path / "a.wav", [TONE * 0.5 + offset], 16))
    assert abs(heard.samples.mean()) < 0.01
    assert tone_peak(heard) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("peak_db", [-40, -50, -60])
@pytest.mark.parametrize("click_samples", [1, 16, 160, 1600])
def test_one_loud_click_does_not_keep_a_recording_quiet(
    tmp_path: Path, peak_db: float, click_samples: int
) -> None:
    """A switch, a door, a dropped microphone."""
    samples = TONE * level(peak_db)
    samples[28_000 : 28_000 + click_samples] += 0.9 * (-1.0) ** np.arange(click_samples)
    heard = hear(wav(tmp_path / "a.wav", [samples], 24))
    assert tone_peak(heard) > 0.04  # as a recording that is left as it is
    without = np.r_[0:27_000, 31_000 : len(TONE)]
    assert np.corrcoef(heard.samples[without], TONE[without])[0, 1] > 0.999
    assert np.count_nonzero(np.abs(heard.samples[without]) > 0.99) == 0


@pytest.mark.parametrize("clicks", [3, 10])
def test_several_clicks_neither(tmp_path: Path, clicks: int) -> None:
    samples = TONE * level(-50)
    samples[np.linspace(100, len(TONE) - 100, clicks).astype(int)] = 0.95
    assert tone_peak(hear(wav(tmp_path / "a.wav", [samples], 24))) > 0.04


@pytest.mark.parametrize("quiet_db", [-20, -40, -60])
@pytest.mark.parametrize("is_left", [True, False])
def test_a_quiet_channel_beside_a_silent_one(
    tmp_path: Path, quiet_db: float, is_left: bool
) -> None:
    channels = [TONE * level(quiet_db), 0 * TONE]
    heard = hear(wav(tmp_path / "a.wav", channels if is_left else channels[::-1], 24))
    assert tone_peak(heard) == pytest.approx(0.5, abs=0.05)
    assert likeness(heard) > 0.999


@pytest.mark.parametrize("quiet_db", [-20, -30, -40])
def test_a_quiet_channel_is_kept_beside_a_loud_one(tmp_path: Path, quiet_db: float) -> None:
    """Two people, one far from the microphone: at other times than the other."""
    other = 2 * tones([(1.6, 1.9)], 3.5, hz=660.0)
    heard = hear(wav(tmp_path / "a.wav", [TONE * level(quiet_db), other.astype(np.float64)], 24))
    quiet = heard.samples[SPANS_SLICE]
    assert np.corrcoef(quiet, TONE[SPANS_SLICE])[0, 1] > 0.999
    assert heard.audio.clipped_samples == 0


SPANS_SLICE = slice(round(2.1 * RATE_HZ), round(2.9 * RATE_HZ))


@pytest.mark.parametrize("loud_db", [20, 40])
def test_one_channel_of_floats_far_above_the_other(tmp_path: Path, loud_db: float) -> None:
    heard = hear(wav(tmp_path / "a.wav", [TONE * level(loud_db), 0.5 * TONE], 32))
    assert tone_peak(heard) == pytest.approx(1.0, abs=0.02)
    assert likeness(heard) > 0.999


def test_noise_at_a_good_level_is_left_as_it_is(tmp_path: Path) -> None:
    heard = hear(wav(tmp_path / "a.wav", [0.1 * NOISE], 16))
    assert np.abs(heard.samples - 0.1 * NOISE).max() < 1e-4
    assert heard.audio.gain_db == 0.0
