import pytest

from benchmarks.estimate import Told, estimates, table_line

LINES = [
    (1.0, "16:51:46 Transcribing: progress 0 % (0/4)"),
    (10.0, "Finished chunk 1 of 4, 177 segments; progress 21 % (1/4), about 0:00:14 left"),
    (20.0, "Finished chunk 3 of 4, 151 segments; progress 39 % (2/4), about 0:01:00 left"),
    (60.0, "Finished chunk 2 of 4, 151 segments; progress 80 % (3/4), about 0:00:10 left"),
    (68.0, "Finished chunk 4 of 4, 151 segments; progress 100 % (4/4), about 0:00:01 left"),
    (70.0, "16:52:10 Done in 30.1 s (119.7 x real time): 827 segments, 0 improved, 4 chunk(s)"),
]


def test_estimates_are_held_against_the_end_of_the_run() -> None:
    told = estimates(LINES)
    assert told == [Told(1, 4, 14.0, 60.0), Told(2, 4, 60.0, 50.0), Told(3, 4, 10.0, 10.0)]
    assert [one.error for one in told] == pytest.approx([-46 / 60, 0.2, 0.0])
    assert table_line("a", told) == "| a | 4 | 60 | 50.0 | +20 | 0 | 0 | 0.0 |"


def test_a_run_that_was_stopped_has_no_truth() -> None:
    with pytest.raises(ValueError, match="when the run was done"):
        estimates(LINES[:-1])
