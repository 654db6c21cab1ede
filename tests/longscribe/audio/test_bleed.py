"""Bleed: a channel is muted where it only has another one's voice, and nowhere else."""

import numpy as np
import pytest

from longscribe.audio.bleed import are_alike, bleed_spans
from longscribe.audio.voice_activity import Spans, overlap_s

HOP_S = 0.02
FLOOR_DB = -75.0


def voice(spans: list[tuple[float, float]], seconds: float, seed: int) -> np.ndarray:
    """Power of something that swells and fades as syllables do, of every hop."""
    chance = np.random.default_rng(seed)
    frames = round(seconds / HOP_S)
    syllables = np.interp(
        np.arange(frames), np.arange(0, frames + 10, 10), chance.uniform(-34, -14, frames // 10 + 1)
    )
    spoken = np.zeros(frames, bool)
    for start_s, end_s in spans:
        spoken[round(start_s / HOP_S) : round(end_s / HOP_S)] = True
    return np.where(spoken, 10 ** (syllables / 10), 0.0)


def microphones(powers: list[np.ndarray], bleed: float, late: int = 0) -> list[np.ndarray]:
    """Levels in dB of microphones that hear each other."""
    return [
        10
        * np.log10(
            10 ** (FLOOR_DB / 10)
            + own
            + sum(bleed**2 * np.roll(p, late) for p in powers if p is not own)
        ).astype(np.float32)
        for own in powers
    ]


HOST = [(1.0, 20.0), (40.0, 60.0), (80.0, 100.0)]
GUEST = [(21.0, 39.0), (59.0, 79.0), (110.0, 118.0)]  # a second of it at once with the host
POWERS = [voice(HOST, 120.0, 1), voice(GUEST, 120.0, 2)]


def muted_share(muted: Spans, spans: list[tuple[float, float]]) -> float:
    inside = [(start + 0.2, end - 0.2) for start, end in spans]
    return sum(overlap_s(muted, a, b) for a, b in inside) / sum(b - a for a, b in inside)


@pytest.mark.parametrize("bleed", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("gain_db", [0.0, -20.0, 9.0])
def test_the_others_voice_is_muted_and_ones_own_is_not(bleed: float, gain_db: float) -> None:
    levels = microphones(POWERS, bleed)
    host, guest = bleed_spans([levels[0], levels[1] + np.float32(gain_db)], [0, 0])
    assert muted_share(host, [(21.0, 39.0), (60.0, 79.0), (110.0, 118.0)]) > 0.97
    assert muted_share(guest, [(1.0, 20.0), (40.0, 59.0), (80.0, 100.0)]) > 0.97
    assert muted_share(host, HOST) < 0.01
    assert muted_share(guest, GUEST) < 0.03


def test_without_bleed_nothing_of_a_voice_is_muted() -> None:
    host, guest = bleed_spans(microphones(POWERS, 0.0), [0, 0])
    assert muted_share(host, HOST) == muted_share(guest, GUEST) == 0.0


def test_who_never_speaks_is_muted_wherever_the_other_is_heard() -> None:
    silent = np.zeros_like(POWERS[0])
    host, guest = bleed_spans(microphones([POWERS[0], silent], 0.2), [0, 0])
    assert muted_share(guest, HOST) > 0.97
    assert muted_share(host, HOST) == 0.0


def test_three_microphones() -> None:
    third = voice([(101.0, 109.0)], 120.0, 3)
    spans = bleed_spans(microphones([*POWERS, third], 0.2), [0, 0, 0])
    for own, muted in zip([HOST, GUEST, [(101.0, 109.0)]], spans, strict=True):
        assert muted_share(muted, own) < 0.03
    assert muted_share(spans[2], [(1.0, 20.0), (21.0, 39.0)]) > 0.97


def test_recorders_with_clocks_of_their_own() -> None:
    """1.6 s late in the other file, where 0.3 s at most would be looked for in one."""
    levels = microphones(POWERS, 0.2)
    late = 80
    levels = [levels[0], np.roll(levels[1], late)]
    host, guest = bleed_spans(levels, [0, 1])
    shift_s = late * HOP_S
    assert muted_share(guest, [(1.0 + shift_s, 20.0 + shift_s)]) > 0.95
    assert muted_share(host, [(21.0, 39.0)]) > 0.95
    assert muted_share(host, HOST) < 0.01


def test_files_of_different_lengths() -> None:
    levels = microphones(POWERS, 0.2)
    host, guest = bleed_spans([levels[0], levels[1][:3000]], [0, 1])
    assert guest[:, 1].max() <= 60.0
    assert muted_share(host, [(110.0, 118.0)]) == 0.0  # nothing is known of the other


def test_silence_and_nothing() -> None:
    silence = np.full(500, -120.0, np.float32)
    assert [len(spans) for spans in bleed_spans([silence, silence], [0, 0])] == [0, 0]
    assert [len(spans) for spans in bleed_spans([silence[:0], silence[:0]], [0, 0])] == [0, 0]
    assert not are_alike([silence, silence])


def test_the_same_sound_twice_is_told() -> None:
    [one, other] = microphones(POWERS, 0.2)
    assert are_alike([one, one + np.float32(0.4)])
    assert not are_alike([one, other])
