"""Windows hold all sound once, and their times lead back to the chunk."""

from itertools import pairwise

import numpy as np
import pytest

from longscribe.audio.voice_activity import Spans, overlap_s, silence_spans
from longscribe.decoding.windows import LONGEST_S, Piece, Window, pack, pack_whole
from tests.sounds import RATE_HZ, bursts

SEAM_S = 0.011  # half the step of a time stamp: within it of a seam a time is the seam

Numbers = np.random.Generator


def phrases(random: Numbers, duration_s: float, pauses_s: tuple[float, float]) -> Spans:
    spans, position_s = [], random.uniform(0.0, 8.0)
    while position_s < duration_s - 1.0:
        end_s = min(position_s + random.uniform(0.3, 9.0), duration_s)
        spans.append((position_s, end_s))
        position_s = end_s + random.uniform(*pauses_s)
    return np.asarray(spans).reshape(-1, 2)


def quiet(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * RATE_HZ), np.float32)


def pieces_of(windows: list[Window]) -> list[Piece]:
    return [piece for window in windows for piece in window.pieces]


RECORDINGS = [
    (duration_s, pauses_s, seed)
    for duration_s in (9.0, 35.0, 140.0, 600.0)
    for pauses_s in ((0.12, 0.5), (0.3, 1.5), (0.5, 20.0))
    for seed in range(4)
]
LONG_RECORDINGS = [recording for recording in RECORDINGS if recording[0] > 100.0]


@pytest.mark.parametrize(("duration_s", "pauses_s", "seed"), RECORDINGS)
def test_every_second_of_sound_is_in_one_window(
    duration_s: float, pauses_s: tuple[float, float], seed: int
) -> None:
    sound = phrases(np.random.default_rng(seed), duration_s, pauses_s)
    windows = pack(sound, quiet(duration_s))
    assert all(0.0 < window.duration_s <= LONGEST_S + 1e-9 for window in windows)
    pieces = pieces_of(windows)
    assert all(before.end_s <= after.start_s for before, after in pairwise(pieces))
    assert pieces[0].start_s >= 0.0
    assert pieces[-1].end_s <= duration_s
    for start_s, end_s in sound:
        assert overlap_s(np.asarray(pieces), start_s, end_s) == pytest.approx(end_s - start_s)


@pytest.mark.parametrize(("duration_s", "pauses_s", "seed"), RECORDINGS)
def test_phrases_are_cut_nowhere_but_between(
    duration_s: float, pauses_s: tuple[float, float], seed: int
) -> None:
    """Phrases are shorter than the reach of a cut, so that there always is a pause to cut at."""
    sound = phrases(np.random.default_rng(seed), duration_s, pauses_s)
    pauses = silence_spans(sound, duration_s)
    for piece in pieces_of(pack(sound, quiet(duration_s))):
        for edge_s in piece:
            assert np.any((pauses[:, 0] <= edge_s) & (edge_s <= pauses[:, 1])) or edge_s in (
                0.0,
                duration_s,
            )


@pytest.mark.parametrize(("duration_s", "pauses_s", "seed"), LONG_RECORDINGS)
def test_windows_are_not_many_more_than_their_sound_fills(
    duration_s: float, pauses_s: tuple[float, float], seed: int
) -> None:
    """Each one costs the encoder 30 s, however little is in it."""
    windows = pack(phrases(np.random.default_rng(seed), duration_s, pauses_s), quiet(duration_s))
    packed_s = sum(window.duration_s for window in windows)
    assert len(windows) <= 1.1 * np.ceil(packed_s / LONGEST_S) + 1


def test_what_fits_into_one_window_is_one() -> None:
    sound = np.array([[0.0, 9.0], [9.5, 20.0], [20.4, 29.5]])
    assert pack(sound, quiet(29.5)) == [Window((Piece(0.0, 29.5),))]


def test_long_silences_are_left_out_and_short_ones_kept() -> None:
    sound = np.array([[1.0, 2.0], [2.8, 6.0], [20.0, 21.0]])
    assert pack(sound, quiet(30.0)) == [
        Window((Piece(0.8, 6.2), Piece(pytest.approx(19.8), pytest.approx(21.2))))
    ]


def test_the_longest_pause_in_reach_is_cut_in_the_middle() -> None:
    edges = [0.0, 2.0, 3.0, 15.5, 15.7, 24.0, 24.6, 27.0, 27.3, 45.0]
    first, second, *_ = pack(np.asarray(edges).reshape(-1, 2), quiet(45.0))
    # The longest of all would leave the window all but empty.
    assert first.pieces == (Piece(0.0, pytest.approx(24.3)),)
    assert second.pieces[0].start_s == first.pieces[0].end_s


def test_without_a_pause_the_quietest_moment_is_cut() -> None:
    samples = bursts([(0.0, 40.0)], 40.0)
    softer = slice(round(25.4 * RATE_HZ), round(25.7 * RATE_HZ))
    samples[softer] *= 0.2
    windows = pack(np.array([[0.0, 40.0]]), samples)
    assert 25.4 <= windows[0].pieces[-1].end_s <= 25.7
    assert windows[0].pieces[-1].end_s == windows[1].pieces[0].start_s


def test_speech_without_any_pause_goes_on_for_windows() -> None:
    samples = bursts([(0.0, 200.0)], 200.0)
    pieces = pieces_of(pack(np.array([[0.0, 200.0]]), samples))
    assert sum(piece.duration_s for piece in pieces) == pytest.approx(200.0)
    assert max(piece.duration_s for piece in pieces) <= LONGEST_S


def test_silence_makes_no_window() -> None:
    assert pack(np.empty((0, 2)), quiet(10.0)) == []


def test_samples_are_those_of_the_pieces() -> None:
    chunk = np.arange(10 * RATE_HZ, dtype=np.float32)
    window = Window((Piece(1.0, 2.5), Piece(4.0, 5.0)))
    expected = [*range(RATE_HZ, 40_000), *range(4 * RATE_HZ, 5 * RATE_HZ)]
    assert window.samples(chunk).tolist() == expected
    assert len(expected) == window.duration_s * RATE_HZ


@pytest.mark.parametrize("seed", range(10))
def test_times_lead_back_to_the_sample_they_were_heard_at(seed: int) -> None:
    random = np.random.default_rng(seed)
    edges = np.sort(random.uniform(0.0, 60.0, 2 * random.integers(1, 6)))
    edges = np.unique(np.round(edges, 2))[: 2 * (len(np.unique(np.round(edges, 2))) // 2)]
    window = Window(tuple(Piece(*pair) for pair in edges.reshape(-1, 2).tolist()))
    chunk = (np.arange(60 * RATE_HZ) / RATE_HZ).astype(np.float64)  # each sample says its time
    heard_s = window.samples(chunk)
    seams_s = np.cumsum([piece.duration_s for piece in window.pieces])
    for place in random.integers(0, len(heard_s), 50):
        if np.abs(seams_s - place / RATE_HZ).min() < SEAM_S:
            continue
        found_s = window.to_chunk_s((place + 0.5) / RATE_HZ)
        assert found_s == pytest.approx(heard_s[place] + 0.5 / RATE_HZ, abs=1.01 / RATE_HZ)
    times_s = [window.to_chunk_s(time_s) for time_s in np.linspace(-1.0, 61.0, 500)]
    assert times_s == sorted(times_s)
    assert times_s[0] == window.pieces[0].start_s
    assert times_s[-1] == window.pieces[-1].end_s


def test_at_a_seam_a_start_is_the_next_piece_s_and_an_end_the_last_one_s() -> None:
    window = Window((Piece(1.0, 3.0), Piece(10.0, 12.0), Piece(20.0, 21.0)))
    assert window.to_chunk_s(2.0) == 10.0
    assert window.to_chunk_s(2.0, ends=True) == 3.0
    assert window.to_chunk_s(4.0) == 20.0
    assert window.to_chunk_s(4.0, ends=True) == 12.0
    # Time stamps are rounded to 20 ms; a hair after the seam is still the seam.
    assert window.to_chunk_s(2.005, ends=True) == 3.0
    assert window.to_chunk_s(2.5, ends=True) == 10.5
    assert window.to_chunk_s(5.0) == window.to_chunk_s(5.0, ends=True) == 21.0


def test_a_start_rounded_down_at_a_seam_is_the_next_piece_s() -> None:
    """Otherwise it is off by the silence between: by minutes, where that is long."""
    window = Window((Piece(32.8, 45.2), Piece(48.8, 61.2)))
    assert window.to_chunk_s(12.4) == 48.8  # 45.2 - 32.8 is a hair more than 12.4
    assert window.to_chunk_s(12.395) == 48.8


def test_the_rest_of_a_window() -> None:
    window = Window((Piece(1.0, 3.0), Piece(10.0, 12.0), Piece(20.0, 21.0)))
    assert window.rest(0.0) == window
    assert window.rest(0.5).pieces == (Piece(1.5, 3.0), *window.pieces[1:])
    assert window.rest(2.0).pieces == window.pieces[1:]
    assert window.rest(3.5).pieces == (Piece(11.5, 12.0), Piece(20.0, 21.0))
    assert window.rest(5.0).pieces == ()
    for time_s in (0.3, 2.0, 3.9, 4.2):
        assert window.rest(time_s).duration_s == pytest.approx(window.duration_s - time_s)


def test_pieces_alone() -> None:
    window = Window((Piece(1.0, 3.0), Piece(10.0, 12.0)))
    assert window.alone() == [Window((Piece(1.0, 3.0),)), Window((Piece(10.0, 12.0),))]


def test_halves_are_cut_at_the_longest_pause_of_the_middle() -> None:
    window = Window((Piece(10.0, 30.0),))
    sound = np.array([(10.0, 12.0), (14.0, 17.0), (17.5, 24.0), (24.3, 30.0)])
    first, second = window.halves(sound)
    assert first.pieces == (Piece(10.0, 17.25),)
    assert second.pieces == (Piece(17.25, 30.0),)


def test_without_a_pause_halves_are_cut_in_the_middle() -> None:
    first, second = Window((Piece(10.0, 30.0),)).halves(np.array([(0.0, 40.0)]))
    assert (first.duration_s, second.duration_s) == (10.0, 10.0)


@pytest.mark.parametrize(
    ("span", "silence_s"),
    [((0.0, 9.0), 0.0), ((8.0, 12.0), 6.0), ((8.0, 25.0), 40.0), ((10.2, 19.8), 0.0)],
)
def test_a_leap_is_the_longest_silence_between(span: tuple[float, float], silence_s: float) -> None:
    window = Window((Piece(0.0, 10.0), Piece(16.0, 26.0), Piece(66.0, 76.0)))
    assert window.leap_s(*span) == silence_s


def test_short_windows_are_put_together_uncut() -> None:
    windows = [
        Window((Piece(start_s, start_s + length_s),))
        for start_s, length_s in ((0.0, 12.0), (40.0, 18.0), (80.0, 1.0), (100.0, 29.0))
    ]
    packed = pack_whole(windows)
    assert pieces_of(packed) == pieces_of(windows)
    assert [window.duration_s for window in packed] == [30.0, 30.0]


@pytest.mark.parametrize(
    ("duration_s", "frames"), [(0.1, 1080), (9.0, 1080), (11.0, 1200), (11.1, 1320), (28.9, 3000)]
)
def test_a_second_of_silence_is_heard_after_the_sound(duration_s: float, frames: int) -> None:
    half = duration_s / 2
    assert Window((Piece(3.0, 3.0 + half), Piece(9.0, 9.0 + half))).frames == frames
    assert Window((Piece(0.0, LONGEST_S),)).frames == 3000
