from longscribe.monitoring.time_limits import TimeLimits


def test_before_the_first_chunk_the_size_of_the_model_counts() -> None:
    assert TimeLimits(9_000_000).limit_s(500.0) == 600.0
    assert TimeLimits(1_550_000_000).limit_s(500.0) > 500.0 * 20


def test_then_the_slowest_chunk_so_far() -> None:
    limits = TimeLimits(1_550_000_000)
    limits.finished(500.0, 100.0)
    limits.finished(500.0, 50.0)
    assert limits.limit_s(500.0) == 2000.0
    assert limits.limit_s(5.0) == 600.0


def test_a_chunk_of_silence_says_nothing_about_speed() -> None:
    limits = TimeLimits(1_550_000_000)
    limits.finished(2.0, 0.01)
    assert limits.limit_s(500.0) == TimeLimits(1_550_000_000).limit_s(500.0)


def test_each_death_doubles_the_time_and_a_fixed_one_stays() -> None:
    assert TimeLimits(1).limit_s(10.0, deaths=2) == 2400.0
    assert TimeLimits(1, 30.0).limit_s(10.0, deaths=2) == 30.0
