"""Recordings whose channels cancel when they are mixed, wholly, partly, or for a while."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.heard import Heard, are_near, hear
from tests.sounds import RATE_HZ, bursts

Channels = list[npt.NDArray[np.float32]]

SPANS = [(0.5, 1.5), (2.0, 3.0)]
TALK = bursts(SPANS, 3.5)
OTHER = bursts([(0.2, 3.3)], 3.5, seed=1)
ROOMS = [bursts([(0.0, 3.5)], 3.5, seed=seed) for seed in (2, 3)]
NONE = np.zeros_like(TALK)


def delayed(samples: npt.NDArray[np.float32], by: int) -> npt.NDArray[np.float32]:
    return np.concatenate([np.zeros(by, np.float32), samples[: len(samples) - by]])


def low(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """As low as voices are, so that a delay of some samples turns little."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / RATE_HZ) > 800] = 0
    return (2 * np.fft.irfft(spectrum, len(samples))).astype(np.float32)


def recorded(path: Path, channels: Channels, layout: str, rate_hz: int = RATE_HZ) -> Heard:
    values = np.stack(channels).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(values.T.reshape(1, -1).copy(), "flt", layout)
        frame.sample_rate = rate_hz
        for part in (frame, None):
            container.mux(stream.encode(part))
    return hear(path)


def share(heard: Heard, of: npt.NDArray[np.float32] = TALK) -> float:
    """How much of what is heard is the talk, whatever its sign."""
    return abs(float(np.corrcoef(heard.samples, of)[0, 1]))


@pytest.mark.parametrize(
    "channels",
    [
        pytest.param([TALK, -TALK], id="opposite"),
        pytest.param([-TALK, TALK], id="opposite, left"),
        pytest.param([TALK, -0.9 * TALK], id="1 dB less"),
        pytest.param([0.6 * TALK, -TALK], id="4 dB less"),
        pytest.param([TALK, -0.4 * TALK], id="8 dB less"),
        pytest.param([1e-3 * TALK, -1e-3 * TALK], id="60 dB down"),
        pytest.param([2e-4 * TALK, -2e-4 * TALK], id="74 dB down"),
        pytest.param([TALK + 0.3, 0.3 - TALK], id="on an offset"),
        pytest.param([TALK - 0.2, 0.4 - TALK], id="on two offsets"),
    ],
)
def test_opposite_channels_are_heard(tmp_path: Path, channels: Channels) -> None:
    heard = recorded(tmp_path / "a.wav", channels, "stereo")
    assert share(heard) > 0.99
    assert np.abs(heard.samples).max() > 0.2
    assert heard.audio.cancelled_s > 1.9


@pytest.mark.parametrize("delay", [1, 2, 3, 4])
@pytest.mark.parametrize("gain", [-1.0, -0.8])
def test_an_opposite_that_comes_a_little_later(tmp_path: Path, delay: int, gain: float) -> None:
    voice = low(TALK)
    heard = recorded(tmp_path / "a.wav", [voice, gain * delayed(voice, delay)], "stereo")
    assert share(heard, voice) > 0.95


@pytest.mark.parametrize("room", [0.2, 0.4, 0.5])
def test_a_voice_that_cancels_leaves_more_than_the_room(tmp_path: Path, room: float) -> None:
    """What cancels in part: the mix would be the room alone, at a level that looks right."""
    left, right = TALK + room * ROOMS[0], room * ROOMS[1] - TALK
    heard = recorded(tmp_path / "a.wav", [left, right], "stereo")
    assert share(heard) > 0.85


@pytest.mark.parametrize(
    ("right", "from_s", "to_s"),
    [
        (-TALK, 0.0, 1.0),
        (-TALK, 0.7, 1.2),
        (-TALK, 2.45, 3.5),
        (-TALK, 2.1, 2.3),
        (-0.7 * TALK, 0.93, 2.27),
    ],
)
def test_channels_that_cancel_for_a_while(
    tmp_path: Path, right: npt.NDArray[np.float32], from_s: float, to_s: float
) -> None:
    """A plug that is turned round, or an editor's cut."""
    times_s = np.arange(len(TALK)) / RATE_HZ
    heard = recorded(
        tmp_path / "a.wav",
        [TALK, np.where((times_s >= from_s) & (times_s < to_s), right, TALK)],
        "stereo",
    )
    levels = np.square(heard.samples).reshape(-1, 1600).mean(axis=1)
    wanted = np.square(TALK.astype(np.float64)).reshape(-1, 1600).mean(axis=1)
    loud = wanted > 0.25 * wanted.max()
    assert np.all(levels[loud] > 0.2 * wanted[loud])


@pytest.mark.parametrize(
    "channels",
    [[TALK, NONE], [NONE, TALK], [TALK, TALK], [TALK, 0.01 * TALK], [TALK, -0.01 * TALK]],
)
def test_one_channel_alone_or_twice_is_heard(tmp_path: Path, channels: Channels) -> None:
    heard = recorded(tmp_path / "a.wav", channels, "stereo")
    assert share(heard) > 0.999
    assert are_near(heard.spans, SPANS), heard.spans
    assert heard.audio.cancelled_s == 0.0


def test_two_voices_in_two_channels_are_both_heard(tmp_path: Path) -> None:
    """Of two that take turns, the one in the other's microphone is turned round."""
    turn = np.where(np.arange(len(TALK)) < len(TALK) // 2, TALK, 0).astype(np.float32)
    answer = TALK - turn
    heard = recorded(tmp_path / "a.wav", [turn - 0.4 * answer, answer - 0.4 * turn], "stereo")
    assert are_near(heard.spans, SPANS), heard.spans
    assert share(heard, turn - 0.0 * answer) > 0.5
    assert share(heard, answer) > 0.5


@pytest.mark.parametrize(
    ("layout", "channels"),
    [
        pytest.param("2.1", [TALK, -TALK, NONE], id="2.1"),
        pytest.param("3.0", [TALK, -TALK, NONE], id="front cancels"),
        pytest.param("3.0", [OTHER, -OTHER, TALK], id="music cancels, centre talks"),
        pytest.param("3.0", [-TALK, NONE, TALK], id="left cancels centre"),
        pytest.param("quad", [TALK, -TALK, NONE, NONE], id="quad front"),
        pytest.param("quad", [NONE, NONE, TALK, -TALK], id="quad back"),
        pytest.param("quad", [TALK, -TALK, TALK, -TALK], id="quad pairs"),
        pytest.param("quad", [TALK, TALK, -TALK, -TALK], id="quad sides"),
        pytest.param("5.1", [NONE, NONE, TALK, NONE, NONE, NONE], id="5.1 centre"),
        pytest.param("5.1", [TALK, -TALK, NONE, NONE, NONE, NONE], id="5.1 front"),
        pytest.param("5.1", [NONE, NONE, NONE, OTHER, TALK, -TALK], id="5.1 back"),
        pytest.param("5.1", [-TALK, -TALK, TALK, NONE, NONE, NONE], id="5.1 front and centre"),
        pytest.param("7.1", [TALK, -TALK, NONE, NONE, TALK, -TALK, NONE, NONE], id="7.1"),
    ],
)
def test_more_channels_of_which_some_cancel(
    tmp_path: Path, layout: str, channels: Channels
) -> None:
    heard = recorded(tmp_path / "a.wav", channels, layout)
    wanted = 0.5 if any(channel is OTHER for channel in channels[:3]) else 0.99
    assert share(heard) > wanted
    assert np.abs(heard.samples).max() > 0.1


@pytest.mark.parametrize("channels", [3, 5, 7, 9, 12, 16])
def test_channels_without_names(tmp_path: Path, channels: int) -> None:
    """Mixing desks: a talk in one channel of many, and its opposite in the last."""
    silence = [NONE] * (channels - 2)
    heard = recorded(tmp_path / "a.wav", [TALK, *silence, -TALK], f"{channels} channels")
    assert share(heard) > 0.99
    assert heard.audio.cancelled_s > 1.0
