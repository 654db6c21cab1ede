"""Settings compared on one recording: rows, yardstick, reference, recommendation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longscribe
from longscribe.api.comparison import Comparison
from longscribe.api.settings import Setting, checked_values, combinations, most_careful
from longscribe.api.tuner import Measured, Tuner
from longscribe.api.tuning import Tuning, TuningRow
from longscribe.audio.excerpts import Excerpt
from longscribe.errors import ModelError, OptionError, RecordingError
from longscribe.transcript import Transcript
from tests.recordings import RATE_HZ, SYNTHETIC, beginning
from tests.segments import segment, transcript
from tests.sounds import write_sound

# whisper/normalizers/english.py leaves its list of spellings to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*english.json:ResourceWarning")

DURATION_S = 40.0
LISTS: dict[str, Any] = {"speeds": (1.2, 1.5), "precisions": "float32", "beam_sizes": "none"}
CAREFUL = Setting(model="demo", speed=1.0, precision="float32", beam_size=None)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sound") / "talk.wav", beginning(duration_s=40.0))


@pytest.fixture(scope="module")
def said() -> str:
    rows = json.loads(SYNTHETIC.with_suffix(".json").read_text(encoding="utf-8"))
    return " ".join(row["text"] for row in rows if row["end"] <= DURATION_S)


def row(speed: float, seconds: float, wrong: int, **values: Any) -> TuningRow:
    setting = CAREFUL.model_copy(update={"speed": speed, "precision": "int8", **values})
    return TuningRow(
        setting=setting,
        seconds=seconds,
        slowest_seconds=seconds,
        rounds=1,
        whole_recording_s=10 * seconds,
        x_real_time=60 / seconds,
        words=1000,
        substituted=wrong,
        lost=0,
        invented=0,
    )


def tuning(*rows: TuningRow, yardstick: Setting | None = None, within: float = 0.3) -> Tuning:
    return Tuning(
        recording="talk.wav",
        duration_s=600.0,
        speech_s=600.0,
        excerpts=(Excerpt(0.0, 60.0),),
        excerpt_speech_s=60.0,
        language="en",
        yardstick=yardstick,
        within_points=within,
        rows=tuple(sorted(rows, key=lambda one: one.seconds)),
        settings=len(rows),
    )


def test_the_fastest_near_the_best_is_recommended() -> None:
    rows = (row(1.0, 9.0, 50), row(1.2, 7.0, 53), row(1.5, 5.0, 54))
    assert tuning(*rows).recommended == rows[1]
    assert tuning(*rows, within=0.4).recommended == rows[2]
    assert tuning(*rows, within=0.0).recommended == rows[0]


def test_the_yardstick_s_zero_is_not_the_best() -> None:
    careful = row(1.0, 20.0, 0, precision="float32")
    rows = (careful, row(1.0, 9.0, 21), row(1.2, 7.0, 22), row(1.5, 5.0, 40))
    assert tuning(*rows, yardstick=careful.setting).recommended == rows[2]
    assert tuning(*rows).recommended == careful  # against a reference it is
    assert tuning(careful, yardstick=careful.setting).recommended == careful


def test_settings_are_every_combination_of_checked_values() -> None:
    assert checked_values("speeds", "1.0, auto,1,1.5") == [1.0, "auto", 1.5]
    assert checked_values("beam_sizes", "none,5,None") == [None, 5]
    assert checked_values("beam_sizes", [None, 3]) == [None, 3]
    found = combinations(["a", "b"], [1.0, 1.2], ["int8"], [None, 5])
    assert len(set(found)) == 8
    assert most_careful(found, "b") == Setting(
        model="b", speed=1.0, precision="float32", beam_size=5
    )


def test_without_a_reference_the_most_careful_setting_is_the_yardstick(path: Path) -> None:
    told: list[Measured] = []
    found = longscribe.tune(path, "demo", **LISTS, rounds=2, language="en", on_measured=told.append)
    assert found.yardstick == CAREFUL
    (careful,) = (one for one in found.rows if one.setting == CAREFUL)
    assert careful.disagreement_percent == 0.0
    assert {one.setting.speed for one in found.rows} == {1.0, 1.2, 1.5}
    assert [one.seconds for one in found.rows] == sorted(one.seconds for one in found.rows)
    assert all(one.rounds == 2 and one.seconds > 0 for one in found.rows)
    assert (len(found.rows), found.settings, found.language) == (3, 3, "en")
    # The second round goes the other way round.
    order = [one.row.setting for one in told]
    assert order[:3] == order[:2:-1]
    assert [one.number for one in told] == [1, 2, 3, 4, 5, 6]
    assert found.duration_s == pytest.approx(DURATION_S, abs=0.01)
    assert found.words > 40
    again = longscribe.transcribe(path, language="en", **found.recommended.setting.model_dump())
    assert len(again.text.split()) > 40


def test_with_a_reference_all_are_held_against_it(path: Path, said: str) -> None:
    found = longscribe.tune(path, ["demo"], **LISTS, rounds=1, language="en", reference=said)
    assert found.yardstick is None
    assert len(found.rows) == 2
    assert found.words == pytest.approx(len(said.split()), abs=8)
    assert min(one.disagreement_percent for one in found.rows) < 35.0


def test_what_was_measured_before_it_was_stopped_is_told(path: Path) -> None:
    lists = {"models": "demo", **LISTS}
    tuner = Tuner(
        path, lists, reference=None, sample_minutes=1.0, within_points=0.3, rounds=2,
        rate_hz=None, options={"language": "en"},
    )  # fmt: skip
    assert not tuner.has_rows
    next(tuner.measure())
    found = tuner.tuning()
    assert tuner.has_rows
    assert [one.setting for one in found.rows] == [CAREFUL]
    assert (found.settings, found.recommended.setting) == (3, CAREFUL)


def heard(*texts: str) -> Transcript:
    """A text in each of the places below."""
    spoken = (segment(10.0 * n, 10.0 * n + 9.0, f" {text}") for n, text in enumerate(texts))
    return transcript(*spoken)


def test_excerpts_are_found_in_the_reference_where_most_settings_find_them() -> None:
    said = "ant bee cat dog eel fox gnu hen owl jay kite lark mole newt"
    places = (Excerpt(0.0, 9.5), Excerpt(10.0, 19.5))
    comparison = Comparison(places, (0.4, 0.9), said)
    settings = [CAREFUL.model_copy(update={"speed": speed}) for speed in (1.0, 1.2, 1.5)]
    comparison.add(settings[0], heard("cat dog eel", "owl jay kite lark"))
    assert comparison.errors(settings[0]).rate == 0.0
    comparison.add(settings[1], heard("bee cat dog eel", "owl jay kite lark"))
    comparison.add(settings[2], heard("bee cub dog eel", "owl kite lark"))
    first, second, third = map(comparison.errors, settings)
    assert (first.words, first.lost, first.substituted) == (8, 1, 0)
    assert second.rate == 0.0
    assert (third.words, third.lost, third.substituted) == (8, 1, 1)


def test_another_recording_s_reference_is_refused() -> None:
    places = (Excerpt(0.0, 9.5), Excerpt(10.0, 19.5))
    comparison = Comparison(places, (0.4, 0.9), "nothing of that is ever said here " * 9)
    with pytest.raises(OptionError, match="--reference: what is heard is not in it"):
        comparison.add(CAREFUL, heard("cat dog eel", "owl jay kite lark"))


def test_a_reference_without_words_and_a_text_without_words_are_refused() -> None:
    place = (Excerpt(0.0, 9.5),)
    with pytest.raises(OptionError, match="there is no word in it"):
        Comparison(place, (1.0,), "?!").add(CAREFUL, heard("cat"))
    with pytest.raises(RecordingError, match="no word is heard"):
        Comparison(place, (1.0,), None).add(CAREFUL, heard("?!"))


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"speeds": "1.0,9"}, OptionError, "^--speeds: .*less than or equal to 2"),
        ({"speeds": ""}, OptionError, "^--speeds: name at least one"),
        ({"beam_sizes": "none,0"}, OptionError, "^--beam-sizes: "),
        ({"precisions": "int4"}, OptionError, "^--precisions: .*int8"),
        ({"precisions": "float16"}, OptionError, "float16 is for GPUs"),
        ({"models": "huge"}, ModelError, "unknown model 'huge'"),
        ({"reference": " \n"}, OptionError, "^--reference: it is empty"),
        ({"sample_minutes": 0.0}, OptionError, "^--sample-minutes: 0 is not from 0.1"),
        ({"within_points": float("nan")}, OptionError, "^--within: nan is not"),
        ({"rounds": 0}, OptionError, "^--rounds: 0 is not"),
        ({"task": "translate"}, OptionError, "task: there is no such option"),
        ({"speed": 1.0}, OptionError, "speed: there is no such option"),
        ({"patience": 1.0}, OptionError, "patience: there is no such option"),
        ({"source": "nowhere.wav"}, RecordingError, "'nowhere.wav' does not exist"),
    ],
)
def test_bad_input_is_one_sentence(
    values: dict[str, Any], error: type[Exception], says: str, path: Path
) -> None:
    with pytest.raises(error, match=says) as caught:
        longscribe.tune(**{"source": path, "models": "demo", **values})
    assert "\n" not in str(caught.value)


def test_where_nobody_speaks_nothing_is_compared() -> None:
    silence = np.zeros(10 * RATE_HZ, np.float32)
    with pytest.raises(RecordingError, match="nobody speaks in 'samples"):
        longscribe.tune(silence, "demo", rate_hz=RATE_HZ)


def test_the_plot_has_every_setting_and_its_label() -> None:
    found = tuning(row(1.0, 9.0, 50), row(1.2, 7.0, 53), row(1.5, 5.0, 54))
    picture = found.plot()
    assert picture.count('<circle class="c0" cx=') == 4  # one in the legend
    assert "1.2x, int8, greedy: 7.0, 5.30" in picture
    assert found._repr_html_() == picture
