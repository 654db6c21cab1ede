"""What the model is unsure of at a faster tempo is heard again at the recording's own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from longscribe.audio.voice_activity import Spans
from longscribe.decoding.batched import Batched
from longscribe.decoding.search import Hypothesis
from longscribe.decoding.tempos import with_own_tempo
from longscribe.decoding.windows import Piece, Window
from longscribe.models.weights import ModelSpec
from longscribe.transcript import Segment, Word
from tests.longscribe.scripted import POOR, WHOLE, Run
from tests.segments import segment

SOUND = np.asarray([[1.0, 20.0], [22.0, 40.0], [50.0, 60.0]])
FIVE = [(1.0 + 30.0 * number, 28.0 + 30.0 * number) for number in range(5)]  # a window each
UNSURE = WHOLE._replace(avg_logprob=-0.4)
VERY_UNSURE = WHOLE._replace(avg_logprob=-0.6)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, demo: ModelSpec) -> Callable[..., Run]:
    return lambda says, **options: Run(monkeypatch, demo, says, stretches=FIVE, **options)


def starts_s(windows: tuple[Window, ...]) -> list[float]:
    return [pytest.approx(window.pieces[0].start_s) for window in windows]


def test_a_sure_trial_is_not_repeated(run: Callable[..., Run]) -> None:
    ran = run(lambda *_: WHOLE, hears_again=True)
    assert [len(names) for _, names in ran.calls] == [2, 3]
    assert (len(ran.texts), ran.result.unsure, ran.result.windows) == (5, (), 5)


def test_the_trial_is_from_all_over_the_chunk(run: Callable[..., Run]) -> None:
    assert run(lambda *_: WHOLE, hears_again=True).calls[0] == (0.0, [30.8, 90.8])


def test_an_unsure_trial_means_all_of_it_again(run: Callable[..., Run]) -> None:
    ran = run(lambda *_: UNSURE, hears_again=True)
    assert len(ran.calls) == 1
    assert starts_s(ran.result.unsure) == [0.8, 30.8, 60.8, 90.8, 120.8]
    assert (ran.texts, ran.result.windows) == ([], 2)


@pytest.mark.parametrize("text", [POOR, VERY_UNSURE, WHOLE._replace(stopped=True)])
def test_a_single_window_is_heard_again_in_the_place_of_higher_temperatures(
    run: Callable[..., Run], text: Hypothesis
) -> None:
    ran = run(lambda start_s, _: text if start_s == 60.8 else WHOLE, hears_again=True)
    assert {temperature for temperature, _ in ran.calls} == {0.0}
    assert starts_s(ran.result.unsure) == [60.8]
    assert (len(ran.texts), ran.result.fallbacks) == (4, 1)


def test_one_that_is_a_little_unsure_stays(run: Callable[..., Run]) -> None:
    ran = run(lambda start_s, _: UNSURE if start_s == 60.8 else WHOLE, hears_again=True)
    assert (len(ran.texts), ran.result.unsure) == (5, ())


def test_silence_is_no_reason(run: Callable[..., Run]) -> None:
    nothing = POOR._replace(no_speech_prob=0.9)
    ran = run(lambda *_: nothing, hears_again=True)
    assert (ran.texts, ran.result.unsure) == ([], ())


def test_without_another_tempo_nothing_is_put_aside(run: Callable[..., Run]) -> None:
    ran = run(lambda *_: VERY_UNSURE)
    assert (len(ran.calls), len(ran.texts), ran.result.unsure) == (1, 5, ())


def first(*segments: Segment, unsure: tuple[Window, ...] = ()) -> Batched:
    return Batched(segments, "en", 0.9, 3, 1, unsure, "en")


class Again:
    """A second hearing, that notes what it is asked for."""

    def __init__(self, *segments: Segment) -> None:
        self.segments = segments
        self.asked: list[tuple[Any, str]] = []

    def __call__(self, sound: Spans, presumed: str) -> Batched:
        self.asked.append((sound.tolist(), presumed))
        return Batched(self.segments, "pt", 0.8, 2, 1)


def said(
    text: str, start: float, end: float, language: str, probability: float, **values: Any
) -> Segment:
    return segment(start, end, text, language=language, language_probability=probability, **values)


def test_what_is_sure_is_not_heard_again() -> None:
    again = Again()
    heard = with_own_tempo(first(said("one", 1.0, 2.0, "en", 0.9)), again, SOUND, 1.2)
    assert again.asked == []
    assert (heard.windows, heard.windows_again, heard.fallbacks) == (3, 0, 1)
    assert [one.text for one in heard.segments] == ["one"]


def test_sound_is_heard_again_on_its_own_timeline_and_comes_back_on_the_other() -> None:
    windows = (
        Window((Piece(0.8, 10.0),)),
        Window((Piece(10.0, 20.2), Piece(21.8, 30.0))),
        Window((Piece(49.8, 60.2),)),
    )
    words = (Word(" three", 62.4, 66.0, 0.9),)
    again = Again(
        said("one", 1.2, 12.0, "pt", 0.8), said("three", 62.4, 67.2, "pt", 0.8, words=words)
    )
    two = said("two", 31.0, 40.0, "en", 0.9)
    heard = with_own_tempo(first(two, unsure=windows), again, SOUND, 1.2)
    # Windows that touch are one stretch again; the cut at 30 s, within sound, stays.
    [(sound, presumed)] = again.asked
    assert np.allclose(sound, [[1.2, 24.0], [26.4, 36.0], [60.0, 72.0]])
    assert presumed == "en"
    assert [(one.text, round(one.start, 6), round(one.end, 6)) for one in heard.segments] == [
        ("one", 1.0, 10.0),
        ("two", 31.0, 40.0),
        ("three", 52.0, 56.0),
    ]
    assert heard.segments[2].words == (
        Word(" three", pytest.approx(52.0), pytest.approx(55.0), 0.9),
    )
    assert (heard.windows, heard.windows_again, heard.fallbacks) == (5, 2, 2)
    # 13 s of it are Portuguese.
    assert (heard.language, heard.language_probability) == ("pt", pytest.approx(0.8))
