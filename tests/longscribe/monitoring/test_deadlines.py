from longscribe.monitoring.deadlines import Deadlines


def test_before_the_first_chunk_the_size_of_the_model_counts() -> None:
    assert Deadlines(9_000_000).limit_s(500.0) == 120.0
    assert Deadlines(1_550_000_000).limit_s(500.0) > 500.0 * 20


def test_then_the_slowest_chunk_so_far() -> None:
    deadlines = Deadlines(1_550_000_000)
    deadlines.finished(500.0, 100.0)
    deadlines.finished(500.0, 50.0)
    assert deadlines.limit_s(500.0) == 2000.0
    assert deadlines.limit_s(5.0) == 120.0


def test_a_chunk_of_silence_says_nothing_about_speed() -> None:
    deadlines = Deadlines(1_550_000_000)
    deadlines.finished(2.0, 0.01)
    assert deadlines.limit_s(500.0) == Deadlines(1_550_000_000).limit_s(500.0)


def test_each_death_doubles_the_time_and_a_fixed_one_stays() -> None:
    assert Deadlines(1).limit_s(10.0, deaths=2) == 480.0
    assert Deadlines(1, 30.0).limit_s(10.0, deaths=2) == 30.0
