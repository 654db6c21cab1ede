"""A long run is shown less often than one that has just begun."""

import pytest

from longscribe.monitoring.pace import pause_s, times_shown


def test_the_pauses_grow_to_ten_seconds() -> None:
    assert [pause_s(elapsed_s) for elapsed_s in (0, 30, 100, 3600)] == [2, 2, 5, 10]


def test_times_are_those_of_the_pauses() -> None:
    assert times_shown(10.0) == pytest.approx(5.0)
    assert times_shown(40.0) == pytest.approx(20.0)
    assert times_shown(1200.0) == pytest.approx(times_shown(1000.0) + 20.0)
