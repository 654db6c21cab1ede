import pytest

from longscribe.audio.timeline import Timeline


def test_no_drift_after_ten_hours() -> None:
    original = 10 * 3600 * 16_000
    timeline = Timeline(original_samples=original, accelerated_samples=round(original / 1.2))
    for original_s in (0.0, 1.0, 3600.0, 35_999.0):
        assert timeline.to_original_s(original_s / 1.2) == pytest.approx(original_s, abs=0.001)
    assert timeline.to_original_s(1e9) == timeline.original_duration_s == 36_000.0


def test_empty() -> None:
    assert Timeline(original_samples=0, accelerated_samples=0).to_original_s(1.0) == 0.0
