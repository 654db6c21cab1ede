import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from longscribe.audio.chunks import Chunk, chunk_lengths, make_chunks, most_chunks, plan_cuts
from longscribe.audio.recording import AcceleratedAudio, read_samples
from longscribe.audio.voice_activity import levels_db, silence_spans, sound_spans
from tests.sounds import RATE_HZ, bursts, write_pcm


def cut(
    tmp_path: Path, spans, duration_s: float, chunk_s: float, workers: int = 1
) -> tuple[list[Chunk], np.ndarray]:
    samples = bursts(spans, duration_s)
    pcm = write_pcm(tmp_path / "a.pcm", samples)
    levels = levels_db(pcm, len(samples))
    sound = sound_spans(levels, duration_s)
    audio = AcceleratedAudio(
        pcm_path=pcm, speed=1.2, original_samples=round(1.2 * len(samples)), samples=len(samples)
    )
    return make_chunks(
        audio, plan_cuts(len(samples), chunk_s, sound, levels, workers), sound
    ), sound


def sentences(duration_s: float, seed: int) -> list[tuple[float, float]]:
    random = np.random.default_rng(seed)
    spans, position_s = [], 0.3
    while position_s < duration_s - 5.0:
        end_s = position_s + random.uniform(1.0, 4.0)
        spans.append((position_s, end_s))
        position_s = end_s + random.uniform(0.35, 1.0)
    return spans


@pytest.mark.parametrize("seed", range(5))
def test_every_sample_is_in_one_chunk_and_cuts_lie_in_pauses(tmp_path: Path, seed: int) -> None:
    duration_s = 137.0
    chunks, sound = cut(tmp_path, sentences(duration_s, seed), duration_s, 30.0)
    assert chunks[0].start_sample == 0
    assert chunks[-1].stop_sample == round(duration_s * RATE_HZ)
    assert [a.stop_sample for a in chunks[:-1]] == [b.start_sample for b in chunks[1:]]
    assert len(chunks) == 5
    pauses = silence_spans(sound, duration_s)
    for chunk in chunks[:-1]:
        end_s = chunk.stop_sample / RATE_HZ
        assert chunk.cut_in_pause
        assert np.any((pauses[:, 0] + 0.1 <= end_s) & (end_s <= pauses[:, 1] - 0.1))


def test_the_longest_pause_near_the_target_is_taken(tmp_path: Path) -> None:
    spans = [(0.0, 58.0), (58.4, 60.0), (61.5, 62.5), (62.9, 120.0)]
    chunks, _ = cut(tmp_path, spans, 120.0, 60.0)
    assert chunks[0].stop_sample / RATE_HZ == pytest.approx(60.75, abs=0.1)


def test_without_any_pause_the_quietest_moment_is_taken(tmp_path: Path) -> None:
    chunks, _ = cut(tmp_path, [(0.0, 120.0)], 120.0, 60.0)
    assert len(chunks) == 2
    assert not chunks[0].cut_in_pause
    assert 54.0 <= chunks[0].stop_sample / RATE_HZ <= 66.0


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [(20.0, 1), (30.0, 1), (32.0, 1), (34.0, 2), (60.0, 2), (61.0, 2), (185.1, 7)],
)
def test_number_of_chunks(tmp_path: Path, duration_s: float, expected: int) -> None:
    chunk_s = 30.0
    chunks, _ = cut(tmp_path, sentences(duration_s, 1), duration_s, chunk_s)
    assert len(chunks) == expected
    assert {chunk.count for chunk in chunks} == {expected}
    assert all(chunk.duration_s > 1.0 for chunk in chunks)


MISSION_S = 4442.2 / 1.2  # the mission's recording at its speed


def test_the_mission_s_recording_makes_seven_chunks() -> None:
    assert len(chunk_lengths(MISSION_S, 600.0)) == 7
    assert len(chunk_lengths(MISSION_S, 600.0, workers=2)) == 7
    samples = round(MISSION_S * RATE_HZ)
    levels = np.zeros(samples // 320, np.float32)
    cuts = plan_cuts(samples, 600.0, np.array([[0.0, MISSION_S]]), levels, workers=2)
    assert len(cuts) + 1 == 7


LENGTHS = [
    (duration_s, chunk_s, workers)
    for duration_s in (3.0, 59.0, 61.0, 170.0, 600.0, 659.0, 661.0, 1500.0, MISSION_S, 36000.0)
    for chunk_s in (30.0, 61.0, 600.0, 3600.0)
    for workers in (1, 2, 4, 8)
]


@pytest.mark.parametrize(("duration_s", "chunk_s", "workers"), LENGTHS)
def test_chunks_make_up_the_recording(duration_s: float, chunk_s: float, workers: int) -> None:
    lengths = chunk_lengths(duration_s, chunk_s, workers)
    assert sum(lengths) == pytest.approx(duration_s)
    # A remainder of less than a tenth of a chunk joins the one before it.
    assert max(lengths) <= 1.1 * chunk_s
    assert min(lengths) > 0.0
    assert lengths == sorted(lengths, reverse=True)  # what is shorter comes last
    assert len(lengths) <= most_chunks(duration_s, chunk_s)
    if len(lengths) > 1:
        assert min(lengths) >= min(60.0, 0.1 * chunk_s)


def idle_share(lengths: list[float], workers: int) -> float:
    """Of the workers' time until the last is done; each takes the next chunk when it is free."""
    free_s = [0.0] * workers
    for length_s in lengths:
        free_s.sort()
        free_s[0] += length_s
    return 1.0 - sum(lengths) / (workers * max(free_s))


@pytest.mark.parametrize("workers", [2, 4, 8])
@pytest.mark.parametrize("minutes", [10, 25, 47, 61.7, 90, 200, 600])
def test_workers_are_hardly_ever_idle(minutes: float, workers: int) -> None:
    """Whatever the length, as long as there is a minute or more for each of them."""
    duration_s = 60.0 * minutes
    lengths = chunk_lengths(duration_s, 600.0, workers)
    assert idle_share(lengths, workers) <= 0.05
    # Without regard to workers, a worker may wait for a whole chunk.
    assert idle_share(lengths, workers) <= idle_share(chunk_lengths(duration_s, 600.0), workers)


def test_a_recording_too_short_to_share_is_one_chunk() -> None:
    assert chunk_lengths(59.0, 600.0, workers=8) == [59.0]


def test_cuts_of_shared_recordings_lie_in_pauses(tmp_path: Path) -> None:
    chunks, _ = cut(tmp_path, sentences(400.0, 2), 400.0, 600.0, workers=4)
    assert len(chunks) == 4
    assert all(chunk.cut_in_pause for chunk in chunks)
    for chunk in chunks:
        assert chunk.duration_s == pytest.approx(100.0, abs=11.0)


def test_chunks_that_are_shared_hold_as_much_sound(tmp_path: Path) -> None:
    """Half is dense, half has long silences: cut by time, one would take longer."""
    dense = sentences(200.0, 4)
    sparse = [(start_s, start_s + 2.0) for start_s in np.arange(203.0, 398.0, 9.0)]
    chunks, _ = cut(tmp_path, [*dense, *sparse], 400.0, 600.0, workers=2)
    first_s, second_s = (sum(b - a for a, b in chunk.sound) for chunk in chunks)
    assert first_s == pytest.approx(second_s, rel=0.15)
    assert chunks[0].duration_s < 160.0


def test_no_chunk_gets_longer_than_asked_for_to_share_sound(tmp_path: Path) -> None:
    spans = [*sentences(100.0, 4), (250.0, 251.0), (290.0, 291.0)]
    chunks, _ = cut(tmp_path, spans, 300.0, 150.0, workers=2)
    assert [chunk.duration_s for chunk in chunks] == pytest.approx([150.0, 150.0], abs=16.0)


def test_chunks_carry_original_times_sound_and_digest(tmp_path: Path) -> None:
    chunks, sound = cut(tmp_path, sentences(90.0, 3), 90.0, 30.0)
    for chunk in chunks:
        start_s, stop_s = chunk.start_sample / RATE_HZ, chunk.stop_sample / RATE_HZ
        assert chunk.original_start_s == pytest.approx(1.2 * start_s)
        assert chunk.original_end_s == pytest.approx(1.2 * stop_s)
        content = read_samples(chunk.pcm_path, chunk.start_sample, chunk.stop_sample)
        assert chunk.sha256 == hashlib.sha256(content.tobytes()).hexdigest()
        assert all(0.0 <= a < b <= chunk.duration_s + 0.001 for a, b in chunk.sound)
        assert all(b <= c for (_, b), (c, _) in pairwise(chunk.sound))
    heard_s = sum(b - a for chunk in chunks for a, b in chunk.sound)
    assert heard_s == pytest.approx(float((sound[:, 1] - sound[:, 0]).sum()), abs=0.02)


def test_label(tmp_path: Path) -> None:
    chunks, _ = cut(tmp_path, sentences(90.0, 3), 90.0, 30.0)
    assert chunks[1].label.startswith("chunk 02 of 03, 0:00:3")
    assert chunks[1].number == "2 of 3"
    many = chunks[1].model_copy(update={"count": 120})
    assert many.label.startswith("chunk 002 of 120, ")
