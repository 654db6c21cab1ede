from pathlib import Path

import numpy as np
import pytest

from longscribe.audio import voice_activity as speech
from tests.sounds import bursts, write_pcm


def found(tmp_path: Path, samples, duration_s: float) -> speech.Spans:
    levels = speech.levels_db(write_pcm(tmp_path / "a.pcm", samples), len(samples))
    return speech.sound_spans(levels, duration_s)


def test_finds_bursts_and_pauses(tmp_path: Path) -> None:
    spans = [(1.0, 2.5), (3.0, 3.3), (10.0, 14.0)]
    result = found(tmp_path, bursts(spans, 20.0), 20.0)
    assert result == pytest.approx(np.array(spans), abs=0.16)
    # Padding only ever widens: no part of the sound is called silence.
    assert all(a <= x and b >= y for (a, b), (x, y) in zip(result, spans, strict=True))


@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_quiet_speech_is_found_as_well_as_loud(tmp_path: Path, gain: float) -> None:
    result = found(tmp_path, bursts([(5.0, 6.0)], 60.0) * np.float32(gain), 60.0)
    assert len(result) == 1


def test_quiet_voice_beside_a_loud_one_is_found(tmp_path: Path) -> None:
    samples = bursts([(1.0, 5.0)], 20.0)
    samples[10 * 16_000 : 12 * 16_000] += bursts([(0.0, 2.0)], 2.0, seed=1) * np.float32(0.03)
    assert len(found(tmp_path, samples, 20.0)) == 2


def test_silence_and_steady_noise_hold_no_sound(tmp_path: Path) -> None:
    assert len(found(tmp_path, np.zeros(160_000, np.float32), 10.0)) == 0
    assert len(found(tmp_path, bursts([], 30.0), 30.0)) == 0


def test_noise_floor_follows_a_slow_change(tmp_path: Path) -> None:
    quiet = bursts([(30.0, 31.0)], 400.0)
    noisy = bursts([(100.0, 105.0)], 400.0, seed=1) * np.float32(20) * np.float32(0.3)
    result = found(tmp_path, np.concatenate([quiet, noisy]), 800.0)
    starts = result[:, 0]
    assert np.any(np.abs(starts - 30.0) < 0.3)
    assert np.any(np.abs(starts - 500.0) < 0.3)


def test_sound_without_any_pause_is_not_taken_for_silence(tmp_path: Path) -> None:
    result = found(tmp_path, bursts([(0.0, 58.0), (58.5, 120.0)], 120.0), 120.0)
    assert result == pytest.approx(np.array([[0.0, 58.1], [58.4, 120.0]]), abs=0.06)


def test_levels_of_a_full_scale_sine(tmp_path: Path) -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32) * 0.999
    levels = speech.levels_db(write_pcm(tmp_path / "a.pcm", sine), len(sine))
    assert len(levels) == 50
    assert np.median(levels) == pytest.approx(-3.0, abs=0.5)


def test_spans_arithmetic() -> None:
    spans = np.array([[1.0, 2.0], [2.5, 3.0], [8.0, 9.0]])
    merged = speech.merge_spans(spans, pad_s=0.1, join_s=0.5, end_s=9.0)
    assert merged == pytest.approx(np.array([[0.9, 3.1], [7.9, 9.0]]))
    assert speech.silence_spans(spans, 10.0) == pytest.approx(
        np.array([[0.0, 1.0], [2.0, 2.5], [3.0, 8.0], [9.0, 10.0]])
    )
    assert speech.overlap_s(spans, 1.5, 8.25) == pytest.approx(0.5 + 0.5 + 0.25)
    assert len(speech.clip_spans(spans, 3.5, 7.0)) == 0
    assert speech.silence_spans(np.empty((0, 2)), 4.0).tolist() == [[0.0, 4.0]]
