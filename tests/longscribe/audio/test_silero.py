"""Speech probabilities: the network's own, whatever the level, and speech from them."""

from pathlib import Path

import numpy as np
import pytest

from longscribe.audio import silero
from longscribe.audio.recording import decode, probe
from longscribe.audio.silero import FRAME_SAMPLES, speech_probabilities
from longscribe.audio.voice_activity import levels_db, sound_spans, speech_spans
from tests.longscribe.models.real_weights import SPEECH
from tests.sounds import RATE_HZ, write_pcm

FRAME_S = FRAME_SAMPLES / RATE_HZ
MINUTE_S = 60


@pytest.fixture(scope="module")
def reader() -> np.ndarray:
    blocks = decode(probe(SPEECH / "lj001_a.opus"))
    return np.concatenate([block for _, block in zip(range(MINUTE_S), blocks, strict=False)])


def probabilities(tmp_path: Path, samples: np.ndarray) -> np.ndarray:
    path = write_pcm(tmp_path / "a.pcm", samples.astype(np.float32))
    return speech_probabilities(path, len(samples))


def test_somebody_reads(tmp_path: Path, reader: np.ndarray) -> None:
    found = probabilities(tmp_path, reader)
    assert len(found) == -(-len(reader) // FRAME_SAMPLES)
    assert 0.75 < (found > 0.5).mean() < 0.95
    assert found.min() >= 0.0
    assert found.max() <= 1.0


@pytest.mark.parametrize("gain_db", [-20, -40, -60])
def test_the_level_does_not_matter(tmp_path: Path, reader: np.ndarray, gain_db: int) -> None:
    plain = probabilities(tmp_path, reader) > 0.5
    quiet = probabilities(tmp_path, reader * 10 ** (gain_db / 20)) > 0.5
    assert (plain == quiet).mean() > (0.97 if gain_db > -60 else 0.9)


def test_strands_and_parts_leave_no_trace(
    tmp_path: Path, reader: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = probabilities(tmp_path, reader)
    monkeypatch.setattr(silero, "_PART_FRAMES", 700)
    monkeypatch.setattr(silero, "_STRAND_FRAMES", 300)
    monkeypatch.setattr(silero, "_BLOCK_FRAMES", 129)
    monkeypatch.setattr(silero, "_STRANDS", 2)
    parted = probabilities(tmp_path, reader)
    assert np.abs(parted - whole).mean() < 3e-3
    assert ((parted > 0.5) == (whole > 0.5)).mean() > 0.998


@pytest.mark.parametrize("name", ["dishes", "street", "orchestra", "strings"])
def test_nobody_speaks_in_noise_and_music(tmp_path: Path, name: str) -> None:
    samples = np.concatenate(list(decode(probe(SPEECH / "nonspeech" / f"{name}.opus"))))
    path = write_pcm(tmp_path / "a.pcm", samples)
    sound = sound_spans(levels_db(path, len(samples)), len(samples) / RATE_HZ)
    assert len(sound)
    found = speech_probabilities(path, len(samples))
    assert len(speech_spans(sound, found, len(samples) / RATE_HZ)) == 0


@pytest.mark.parametrize("kind", ["white", "pink", "brown", "hum", "silence"])
@pytest.mark.parametrize("level_db", [-10, -40, -70])
def test_nobody_speaks_in_generated_noise(tmp_path: Path, kind: str, level_db: int) -> None:
    count = 60 * RATE_HZ
    random = np.random.default_rng(0)
    spectrum = np.fft.rfft(random.normal(size=count))
    bins = np.maximum(np.arange(len(spectrum)), 1)
    noise = {
        "white": lambda: np.fft.irfft(spectrum, count),
        "pink": lambda: np.fft.irfft(spectrum / np.sqrt(bins), count),
        "brown": lambda: np.fft.irfft(spectrum / bins, count),
        "hum": lambda: np.sin(2 * np.pi * 50 * np.arange(count) / RATE_HZ),
        "silence": lambda: np.zeros(count),
    }[kind]()
    scaled = noise / max(np.abs(noise).max(), 1e-9) * 10 ** (level_db / 20)
    assert probabilities(tmp_path, scaled).max() < 0.5


def spoken(*spans: tuple[float, float], duration_s: float = 20.0, level: float = 0.9) -> np.ndarray:
    made = np.full(round(duration_s / FRAME_S), 0.02, np.float32)
    for start_s, end_s in spans:
        made[round(start_s / FRAME_S) : round(end_s / FRAME_S)] = level
    return made


def test_of_sound_only_what_is_speech_is_kept() -> None:
    sound = np.asarray([[1.0, 3.0], [5.0, 9.0], [12.0, 15.0]])
    found = speech_spans(sound, spoken((1.1, 2.8), (12.0, 15.0)), 20.0)
    assert found == pytest.approx(np.asarray([[1.0, 3.0], [12.0, 15.0]]))


def test_sound_around_speech_is_kept_a_little() -> None:
    found = speech_spans(np.asarray([[0.0, 20.0]]), spoken((8.0, 10.0)), 20.0)
    assert found == pytest.approx(np.asarray([[7.6, 10.4]]), abs=0.05)


def test_a_click_that_the_network_takes_for_speech_is_none() -> None:
    assert len(speech_spans(np.asarray([[0.0, 20.0]]), spoken((8.0, 8.1)), 20.0)) == 0


def test_speech_that_is_only_probable_goes_on_but_does_not_begin() -> None:
    sound = np.asarray([[0.0, 20.0]])
    assert len(speech_spans(sound, spoken((8.0, 10.0), level=0.4), 20.0)) == 0
    both = np.maximum(spoken((8.0, 9.0)), spoken((9.0, 10.0), level=0.4))
    assert speech_spans(sound, both, 20.0)[0, 1] == pytest.approx(10.4, abs=0.05)


def test_speech_too_quiet_for_the_level_is_taken_as_it_was_found() -> None:
    found = speech_spans(np.asarray([[1.0, 2.0]]), spoken((1.0, 2.0), (5.0, 8.0)), 20.0)
    assert found == pytest.approx(np.asarray([[1.0, 2.0], [4.9, 8.1]]), abs=0.05)


def test_nothing_is_in_nothing(tmp_path: Path) -> None:
    assert len(probabilities(tmp_path, np.empty(0))) == 0
