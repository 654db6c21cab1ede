"""What counts against a worker, and what does not."""

import os

import pytest

from longscribe.task_runner.effort import Effort, Patience, Vitals, vitals_of

PATIENCE = Patience(computing_s=30.0, waiting_s=90.0)


def looked_at(*looks: tuple[float, int, float, float], read_bytes: int = 0) -> Effort:
    """Looks: the clock, what was finished, seconds on a core and in the queue for one."""
    effort = Effort(0.0)
    for now_s, count, computed_s, queued_s in looks:
        effort.look(now_s, Vitals((count, read_bytes), computed_s, queued_s))
    return effort


def test_computing_without_progress_counts_until_patience_is_out() -> None:
    assert not looked_at((0, 5, 100, 0), (30, 5, 130, 0)).is_beyond(PATIENCE)
    effort = looked_at((0, 5, 100, 0), (30, 5, 130, 0), (31, 5, 131, 0))
    assert effort.is_beyond(PATIENCE)
    assert effort.idle_s == effort.own_s == pytest.approx(31.0)


def test_any_progress_is_enough() -> None:
    effort = looked_at((0, 5, 100, 0), (30, 5, 130, 0), (31, 6, 131, 0), (60, 6, 160, 0))
    assert not effort.is_beyond(PATIENCE)
    assert effort.own_s == pytest.approx(60.0)


def test_reading_a_disk_is_progress() -> None:
    effort = looked_at((0, 0, 0, 0), (80, 0, 0, 0))
    effort.look(89, Vitals((0, 4096), 0, 0))
    effort.look(170, Vitals((0, 4096), 0, 0))
    assert not effort.is_beyond(PATIENCE)


def test_time_in_which_others_have_the_cores_counts_for_nothing() -> None:
    effort = looked_at((0, 5, 100, 0), (3600, 5, 129, 3565))
    assert not effort.is_beyond(PATIENCE)
    assert effort.own_s == pytest.approx(35.0)


def test_waiting_for_anything_else_counts_and_one_has_more_patience_with_it() -> None:
    assert not looked_at((0, 5, 100, 0), (90, 5, 100, 0)).is_beyond(PATIENCE)
    assert looked_at((0, 5, 100, 0), (91, 5, 100, 0)).is_beyond(PATIENCE)


def test_a_process_that_is_not_there_yet_is_waited_for() -> None:
    effort = Effort(0.0)
    effort.look(91.0, None)
    assert effort.is_beyond(PATIENCE)


def test_vitals_of_a_process_that_is_gone_and_of_one_that_runs() -> None:
    assert vitals_of(2**22 + 1, 0) is None  # no pid of Linux is as high
    own = vitals_of(os.getpid(), 7)
    assert own is not None
    assert own.progress[0] == 7
    assert own.computed_s > 0.0


def test_a_kernel_without_times_in_the_queue_still_tells_those_on_a_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.read_text", missing)
    own = vitals_of(os.getpid(), 0)
    assert own is not None
    assert own.computed_s > 0.0
    assert own.queued_s == 0.0
