from pathlib import Path

import numpy as np
import pytest

from longscribe.options.speakers import VoiceCount
from longscribe.speakers.diarization import Diarization, diarize, spans_of
from longscribe.speakers.windows import EMBEDDING_SIZE, STEP_SAMPLES
from tests.longscribe.speakers.made import Said, heard

ANY = VoiceCount(1, 20)


def told(said: list[Said], duration_s: float, count: VoiceCount = ANY) -> Diarization:
    windows = range(max(1, int(duration_s / 5) + 1))
    return diarize([heard(said, windows)], duration_s, np.array([[0.0, duration_s]]), count)


def in_turns(people: int, turns: int, turn_s: float = 4.0) -> list[Said]:
    return [(n * turn_s, (n + 1) * turn_s - 0.5, n % people) for n in range(turns)]


@pytest.mark.parametrize("people", [1, 2, 3, 5, 8])
def test_as_many_people_as_there_are(people: int) -> None:
    said = in_turns(people, 40)
    found = told(said, 160.0)
    assert found.people.shape == (people, EMBEDDING_SIZE)
    assert [person for *_, person in found.turns[:people]] == list(range(people))
    for (start_s, end_s, person), (a, b, who) in zip(found.turns, said, strict=True):
        assert person == who
        assert start_s == pytest.approx(a, abs=0.05)
        assert end_s == pytest.approx(b, abs=0.05)


def test_people_who_speak_at_once_both_have_a_turn() -> None:
    said: list[Said] = [(0.0, 8.0, 0), (6.0, 14.0, 1), (15.0, 20.0, 0), (21.0, 27.0, 1)]
    found = told(said, 27.0)
    assert len(found.people) == 2
    first, second = found.turns[:2]
    assert first[1] == pytest.approx(8.0, abs=0.05)
    assert second[0] == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize("count", [VoiceCount(2, 2), VoiceCount(1, 2)])
def test_no_more_people_than_asked_for(count: VoiceCount) -> None:
    assert len(told(in_turns(4, 40), 160.0, count).people) == 2


def test_as_many_as_asked_for_where_two_sound_alike() -> None:
    assert len(told(in_turns(1, 40), 160.0, VoiceCount(2, 2)).people) == 2


def test_silence_has_nobody() -> None:
    assert diarize([], 3600.0, np.empty((0, 2)), ANY).turns == []
    found = told([], 60.0)
    assert found.turns == []
    assert len(found.people) == 0


def test_nobody_speaks_where_there_is_no_speech() -> None:
    found = diarize([heard([(0.0, 20.0, 0)], range(5))], 20.0, np.array([[5.0, 9.0]]), ANY)
    ((start_s, end_s, _),) = found.turns
    assert start_s == pytest.approx(4.9, abs=0.05)
    assert end_s == pytest.approx(9.1, abs=0.05)


def test_a_voice_is_the_same_person_in_hour_one_and_ten() -> None:
    """Parts of ten minutes, hours apart, one person in all of them; thousands of voices in all."""
    each = [(0.0, 2.0, 0), (2.5, 5.0, 1)]
    pieces, turns = [], 0
    for part in range(60):
        start_s = part * 599.4
        said = [
            (start_s + n * 5 + a, start_s + n * 5 + b, 0 if person == 0 else 1 + part % 3)
            for n in range(118)
            for a, b, person in each
        ]
        turns += len(said)
        windows = range(part * 120, part * 120 + 119)
        pieces.append(heard(said, windows, seed=part))
    found = diarize(pieces, 35_974.0, np.array([[0.0, 35_974.0]]), ANY)
    assert len(found.people) == 4
    first = [person for start_s, _, person in found.turns if start_s < 10.0]
    last = [person for start_s, _, person in found.turns if start_s > 35_380.0]
    assert first[0] == last[0] == 0
    assert len(found.turns) == pytest.approx(turns, rel=0.02)


def test_windows_without_speech_are_in_no_span() -> None:
    samples = 3600 * 16_000
    step_s = STEP_SAMPLES / 16_000
    assert spans_of(Path("a.pcm"), samples, np.empty((0, 2))) == []
    (span,) = spans_of(Path("a.pcm"), samples, np.array([[1000.0, 1001.0]]))
    for number in span.windows:
        assert number * step_s <= 1001.0
        assert number * step_s + 10.0 > 1000.0
    assert span.windows == (199, 200)
    every = spans_of(Path("a.pcm"), samples, np.array([[0.0, 3600.0]]))
    assert [number for one in every for number in one.windows] == list(range(718))
    assert all(len(one.windows) <= 120 for one in every)


def test_a_recording_shorter_than_a_window_has_one() -> None:
    (span,) = spans_of(Path("a.pcm"), 16_000, np.array([[0.0, 1.0]]))
    assert span.windows == (0,)
    assert (span.start_sample, span.stop_sample) == (0, 16_000)
