from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from longscribe.errors import OptionError
from longscribe.flows.voices_command import main
from longscribe.speakers.enrolled import EnrolledVoice, enroll, enrolled, recognized, remove
from longscribe.speakers.words import with_speakers
from longscribe.transcript import Recognized
from tests.longscribe.speakers.made import voice_of
from tests.segments import segment, transcript


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGSCRIBE_VOICES", str(tmp_path / "voices"))
    return tmp_path / "voices"


def voice(name: str, person: int, model: str = "m") -> EnrolledVoice:
    chance = np.random.default_rng(person)
    numbers = tuple(float(n) for n in voice_of(person, chance, alike=0.95))
    return EnrolledVoice(name=name, voice=numbers, spoken_s=20.0, model=model)


def test_voices_are_kept_replaced_and_forgotten(folder: Path) -> None:
    path = enroll(voice("Rui", 2))
    enroll(voice(" Ana ", 1))
    enroll(voice("Rui", 3))
    assert [one.name for one in enrolled()] == ["Ana", "Rui"]
    assert path.stat().st_mode & 0o077 == 0
    remove("Rui")
    assert [one.name for one in enrolled()] == ["Ana"]
    with pytest.raises(OptionError, match="no voice 'Rui'; there are: Ana"):
        remove("Rui")


@pytest.mark.parametrize("name", ["", " ", "a,b", "x" * 81, "a\nb"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(OptionError, match="no name of a voice"):
        enroll(voice(name, 1))
    assert enrolled() == []


def test_a_damaged_file_is_nobody_s(folder: Path) -> None:
    enroll(voice("Ana", 1)).write_text("{")
    assert enrolled() == []


def test_only_who_surely_is_enrolled_is_recognized() -> None:
    chance = np.random.default_rng(9)
    people = np.array([voice_of(p, chance, alike=0.95) for p in (5, 1, 7)], np.float32)
    found = recognized(people, "m", [voice("Ana", 1), voice("Rui", 2), voice("Eva", 5, "other")])
    assert {person: one.name for person, one in found.items()} == {1: "Ana"}
    assert found[1].probability > 0.95
    assert recognized(people[:0], "m", [voice("Ana", 1)]) == {}


def test_a_known_voice_takes_none_of_the_names_and_says_how_sure() -> None:
    turns = [(0.0, 2.0, 0), (2.0, 4.0, 1), (4.0, 6.0, 2)]
    said = transcript(*(segment(n * 2.0, n * 2.0 + 2.0, " Hm.") for n in range(3)))
    chance = np.random.default_rng(9)
    people = np.array([voice_of(p, chance, alike=0.95) for p in (5, 1, 7)], np.float32)
    known = recognized(people, "m", [voice("Ana", 1)])
    told = with_speakers(said, turns, ("Rui", "Ana"), known)
    assert [s.speaker for s in told.segments] == ["Rui", "Ana", "SPEAKER_02"]
    assert told.recognized == (Recognized("Ana", known[1].probability),)


def test_the_command_lists_and_forgets() -> None:
    enroll(voice("Ana", 1))
    assert CliRunner().invoke(main, ["list"]).output == "Ana, 20 s\n"
    assert CliRunner().invoke(main, ["remove", "Ana"]).exit_code == 0
    again = CliRunner().invoke(main, ["remove", "Ana"])
    assert again.exit_code == 2
    assert "there is no voice 'Ana'" in again.output
