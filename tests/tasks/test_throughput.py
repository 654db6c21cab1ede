"""Hours of recording per hour, by what runs left on the server."""

import pytest
from prefect import flow

from longscribe.tasks.throughput import Throughput, note_sound, throughput
from tests.eventually import eventually


@flow(name="transcribe")
def transcribed(duration_s: float) -> None:
    note_sound(duration_s)


@flow(name="something-else")
def other() -> None:
    note_sound(7200.0)


def test_runs_of_the_last_hour_are_counted() -> None:
    before = throughput()
    transcribed(5400.0)
    transcribed(1800.0)
    other()
    after = eventually(throughput, lambda found: found.recordings == before.recordings + 2)
    assert after.recordings == before.recordings + 2
    assert after.sound_s - before.sound_s == pytest.approx(7200.0)
    assert throughput(within_s=1e-3).recordings == 0


def test_outside_of_a_run_nothing_is_noted() -> None:
    note_sound(1.0)


def test_hours_per_hour() -> None:
    assert Throughput(3, 7200.0, 3600.0).hours_per_hour == 2.0
