import pytest

from longscribe.monitoring.progress import Progress, Work, ending_s


def even(count: int, audio_s: float = 600.0, sound_s: float = 498.0) -> dict[int, Work]:
    return dict.fromkeys(range(count), Work(audio_s, sound_s))


def test_counts_and_per_cent_by_audio() -> None:
    work = {0: Work(600.0, 600.0), 1: Work(600.0, 1.0), 2: Work(300.0, 300.0)}
    progress = Progress(work, workers=2)
    assert (progress.done, progress.total, progress.percent) == (0, 3, 0.0)
    assert progress.remaining_s({}) is None
    assert progress.expected_percent({0: 10.0}) == 0.0
    progress.finish(0, seconds=60.0)
    assert (progress.done, progress.percent) == (1, pytest.approx(40.0))


def test_estimate_learns_the_speed() -> None:
    progress = Progress(even(6), workers=2)
    progress.finish(0, seconds=60.0)
    # One chunk is half done, one has just started; two rounds follow.
    assert progress.remaining_s({1: 30.0, 2: 0.0}) == pytest.approx(30.0 + 60.0 + 60.0)
    assert progress.expected_percent({1: 30.0, 2: 0.0}) == pytest.approx(25.0)
    progress.finish(1, seconds=120.0)  # slower than thought: 90 s a chunk
    assert progress.remaining_s({2: 0.0, 3: 0.0}) == pytest.approx(180.0)


def test_silence_takes_no_time() -> None:
    work = {0: Work(600.0, 598.0), 1: Work(600.0, 598.0), 2: Work(600.0, 58.0)}
    progress = Progress(work, workers=1)
    progress.finish(0, seconds=100.0)
    progress.finish(1, seconds=100.0)
    assert progress.remaining_s({}) == pytest.approx(10.0)


def test_a_failed_chunk_counts_as_done_and_teaches_nothing() -> None:
    progress = Progress(even(3), workers=1)
    progress.finish(0, seconds=0.0)
    assert progress.percent == pytest.approx(100.0 / 3)
    assert progress.remaining_s({}) is None
    progress.finish(1, seconds=50.0)
    assert progress.remaining_s({2: 20.0}) == pytest.approx(30.0)


def test_a_chunk_that_takes_longer_than_thought_never_counts_below_zero() -> None:
    progress = Progress(even(2), workers=2)
    progress.finish(0, seconds=10.0)
    assert progress.remaining_s({1: 500.0}) == 0.0
    assert progress.expected_percent({1: 500.0}) < 100.0


def test_nothing_left() -> None:
    progress = Progress({0: Work(10.0, 10.0)}, workers=1)
    progress.finish(0, seconds=1.0)
    assert progress.remaining_s({}) == 0.0
    assert progress.percent == 100.0


def test_no_audio_is_all_done() -> None:
    assert Progress({}, workers=1).percent == 100.0


def test_what_follows_the_last_chunk_counts() -> None:
    progress = Progress(even(2), workers=2, ending_s=ending_s(3600.0, copied_s=24.0))
    progress.finish(0, seconds=60.0)
    assert progress.remaining_s({1: 40.0}) == pytest.approx(20.0 + 25.1)
    progress.finish(1, seconds=60.0)
    assert progress.remaining_s({}) == pytest.approx(25.1)
