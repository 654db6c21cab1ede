from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from longscribe.audio.excerpts import Excerpt, choose_excerpts, join_excerpts, spoken_s
from longscribe.audio.recording import SAMPLE_RATE_HZ, AcceleratedAudio
from longscribe.audio.voice_activity import overlap_s
from tests.sounds import write_pcm


def sentences(count: int, spoken: float = 4.0, pause: float = 1.0, first: float = 0.0):
    starts = first + np.arange(count) * (spoken + pause)
    return np.column_stack((starts, starts + spoken))


def test_evenly_spread_and_cut_in_pauses() -> None:
    speech = sentences(720)  # an hour, 48 minutes of it spoken
    found = choose_excerpts(speech, 240.0)
    assert [round(one.start_s / 60) for one in found] == [7, 22, 37, 52]
    assert spoken_s(speech, found) == pytest.approx(240.0, abs=16.0)
    for one in found:
        assert overlap_s(speech, one.start_s - 0.2, one.start_s) == 0.0
        assert overlap_s(speech, one.end_s, one.end_s + 0.2) == 0.0


def test_where_nobody_speaks_nothing_is_chosen() -> None:
    speech = np.concatenate((sentences(60), sentences(60, first=7200.0)))
    found = choose_excerpts(speech, 120.0)
    assert [one.start_s < 300.0 for one in found] == [True, False]
    assert spoken_s(speech, found) == pytest.approx(120.0, abs=10.0)


def test_a_short_recording_is_taken_whole() -> None:
    speech = sentences(12, first=3.0)
    assert choose_excerpts(speech, 40.0) == (Excerpt(2.7, 62.0),)
    assert choose_excerpts(np.array([[0.0, 9.0]]), 240.0) == (Excerpt(0.0, 9.0),)


def test_where_nobody_pauses_the_cut_is_where_it_should_be() -> None:
    found = choose_excerpts(np.array([[10.0, 1210.0]]), 60.0)
    assert found == (Excerpt(295.0, 325.0), Excerpt(895.0, 925.0))


def test_the_longest_pause_in_reach_is_the_cut() -> None:
    speech = sentences(200)
    speech[94:] += 3.0  # a longer pause, two sentences from where the second excerpt would begin
    starts = [one.start_s for one in choose_excerpts(speech, 320.0)]
    assert starts[2] == pytest.approx(speech[94, 0] - 0.3)


@pytest.mark.parametrize("wanted_s", [30.0, 60.0, 200.0, 600.0])
def test_excerpts_are_apart_and_in_order(wanted_s: float) -> None:
    random = np.random.default_rng(3)
    edges = np.cumsum(random.exponential(3.0, 2000)).reshape(-1, 2)
    found = choose_excerpts(edges, wanted_s)
    assert all(one.end_s > one.start_s for one in found)
    assert all(one.end_s <= following.start_s for one, following in pairwise(found))
    assert spoken_s(edges, found) == pytest.approx(wanted_s, rel=0.35)


def test_joined_with_silence_between(tmp_path: Path) -> None:
    samples = np.repeat(np.arange(1, 11), SAMPLE_RATE_HZ).astype(np.float32) / 100
    path = write_pcm(tmp_path / "a.pcm", samples)
    audio = AcceleratedAudio(
        pcm_path=path, speed=1.0, original_samples=len(samples), samples=len(samples)
    )
    excerpts = (Excerpt(1.0, 3.0), Excerpt(7.0, 8.0))
    found, places = join_excerpts(audio, excerpts)
    assert places == (Excerpt(0.0, 2.0), Excerpt(3.5, 4.5))
    assert len(found) == 4.5 * SAMPLE_RATE_HZ
    seconds = found.reshape(-1, SAMPLE_RATE_HZ // 2)[:, 0]
    assert (seconds / 327.67).round().tolist() == [2, 2, 3, 3, 0, 0, 0, 8, 8]
