"""Channels mixed to one: as loud as they are, also where they cancel."""

from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.audio.channels import ChannelMixer
from longscribe.audio.recording import accelerate, probe, read_samples
from tests.sounds import RATE_HZ, bursts

TALK = bursts([(0.2, 1.8)], 2.0)
OTHER = bursts([(0.2, 1.8)], 2.0, seed=3)


def frame(*channels: np.ndarray, layout: str = "stereo") -> av.AudioFrame:
    made = av.AudioFrame.from_ndarray(np.stack(channels).astype(np.float32), "fltp", layout)
    made.sample_rate = RATE_HZ
    return made


def test_two_channels_alike_are_as_loud_as_one() -> None:
    assert np.allclose(ChannelMixer().mixed(frame(TALK, TALK)), TALK, atol=1e-6)


def test_one_of_two_channels_is_half_as_loud() -> None:
    assert np.allclose(ChannelMixer().mixed(frame(TALK, 0 * TALK)), TALK / 2, atol=1e-6)


@pytest.mark.parametrize(("left", "right"), [(1.0, -1.0), (0.7, -0.75), (-1.0, 0.9)])
def test_channels_that_cancel_are_the_louder_one(left: float, right: float) -> None:
    mixer = ChannelMixer()
    wanted = max((left, right), key=abs) * TALK
    assert np.allclose(mixer.mixed(frame(left * TALK, right * TALK)), wanted, atol=1e-6)
    assert mixer.cancelled_samples == len(TALK)


@pytest.mark.parametrize("right", [0 * TALK, OTHER, 0.2 * TALK, TALK])
def test_other_channels_do_not_count_as_cancelled(right: np.ndarray) -> None:
    mixer = ChannelMixer()
    assert np.allclose(mixer.mixed(frame(TALK, right)), (TALK + right) / 2, atol=1e-6)
    assert mixer.cancelled_samples == 0


def test_the_center_of_six_channels_counts_most_and_the_low_effects_not_at_all() -> None:
    zero = 0 * TALK
    mixer = ChannelMixer()
    center = mixer.mixed(frame(zero, zero, TALK, zero, zero, zero, layout="5.1"))
    effects = mixer.mixed(frame(zero, zero, zero, TALK, zero, zero, layout="5.1"))
    everything = mixer.mixed(frame(*[TALK] * 6, layout="5.1"))
    assert np.abs(center).max() > 0.25 * np.abs(TALK).max()
    assert not effects.any()
    assert np.allclose(everything, TALK, atol=1e-6)


def test_a_recording_of_opposite_channels_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=RATE_HZ, layout="stereo")
        values = (np.stack([TALK, -TALK], axis=1) * 32767).astype(np.int16).reshape(1, -1)
        made = av.AudioFrame.from_ndarray(values, "s16", "stereo")
        made.sample_rate = RATE_HZ
        for part in (made, None):
            container.mux(stream.encode(part))
    audio = accelerate(probe(path), 1.0, tmp_path / "a.pcm")
    samples = read_samples(audio.pcm_path, 0, audio.samples) / 32768.0
    assert np.abs(samples).max() == pytest.approx(np.abs(TALK).max(), abs=0.01)
    assert audio.cancelled_s == pytest.approx(2.0, abs=0.1)


def test_full_scale_in_both_channels_is_not_clipped(tmp_path: Path) -> None:
    """FFmpeg's mix to float is 3 dB above it."""
    path = tmp_path / "a.wav"
    sine = np.sin(np.arange(2 * RATE_HZ) * 2 * np.pi * 440 / RATE_HZ) * 0.99
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="stereo")
        values = (np.stack([sine, sine], axis=1) * 32767).astype(np.int16).reshape(1, -1)
        made = av.AudioFrame.from_ndarray(values, "s16", "stereo")
        made.sample_rate = RATE_HZ
        for part in (made, None):
            container.mux(stream.encode(part))
    audio = accelerate(probe(path), 1.0, tmp_path / "a.pcm")
    assert audio.clipped_samples == 0
    assert audio.gain_db == 0.0
