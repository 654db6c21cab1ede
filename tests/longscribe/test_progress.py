import pytest

from longscribe.progress import Progress


def test_counts_and_per_cent_by_audio() -> None:
    progress = Progress({0: 600.0, 1: 600.0, 2: 300.0}, workers=2)
    assert (progress.done, progress.total, progress.percent) == (0, 3, 0.0)
    assert progress.remaining_s({}) is None
    progress.finish(0, seconds=60.0)
    assert (progress.done, progress.percent) == (1, pytest.approx(40.0))


def test_estimate_learns_the_speed() -> None:
    progress = Progress(dict.fromkeys(range(6), 600.0), workers=2)
    progress.finish(0, seconds=60.0)
    # One chunk is half done, one has just started; two rounds follow.
    assert progress.remaining_s({1: 30.0, 2: 0.0}) == pytest.approx(30.0 + 60.0 + 60.0)
    progress.finish(1, seconds=120.0)  # slower than thought: 90 s a chunk
    assert progress.remaining_s({2: 0.0, 3: 0.0}) == pytest.approx(180.0)


def test_a_chunk_that_takes_longer_than_thought_never_counts_below_zero() -> None:
    progress = Progress({0: 600.0, 1: 600.0}, workers=2)
    progress.finish(0, seconds=10.0)
    assert progress.remaining_s({1: 500.0}) == 0.0


def test_nothing_left() -> None:
    progress = Progress({0: 10.0}, workers=1)
    progress.finish(0, seconds=1.0)
    assert progress.remaining_s({}) == 0.0
