"""Channels and several files of one conversation, over the Python API."""

from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

import longscribe
from longscribe.errors import OptionError, RecordingError
from tests.longscribe.audio.test_lanes import write_channels
from tests.recordings import RATE_HZ, beginning
from tests.sounds import write_sound

OPTIONS: dict[str, Any] = {"model": "demo", "language": "en"}
TURNS_S = ((0.0, 6.9, 0), (6.9, 11.0, 1), (11.0, 15.5, 0))
HOST = (
    "we will paint the heavy report on monday afternoon is the market in london open on friday "
    "morning? yesterday victor and helen promised the report"
)
GUEST = "the camera will cost twenty hundred dollars"


@pytest.fixture(scope="module")
def sides() -> list[np.ndarray]:
    """A conversation of what one voice reads: each side hears 20 % of the other."""
    samples = beginning(duration_s=TURNS_S[-1][1])
    clean = [np.zeros_like(samples), np.zeros_like(samples)]
    for start_s, end_s, side in TURNS_S:
        part = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
        clean[side][part] = samples[part]
    return [clean[0] + 0.2 * clean[1], clean[1] + 0.2 * clean[0]]


def spoken(found: longscribe.Transcription, speaker: str) -> list[str]:
    texts = (s.text for s in found.segments if s.speaker == speaker)
    return " ".join(texts).lower().replace(".", "").replace(",", "").split()


def test_a_call_is_a_dialogue_and_nothing_is_said_twice(
    sides: list[np.ndarray], tmp_path: Path
) -> None:
    call = write_channels(tmp_path / "call.wav", *sides)
    found = longscribe.transcribe(call, **OPTIONS, speakers="channels", speaker_names="Host")
    assert jiwer.wer(HOST, " ".join(spoken(found, "Host"))) < 0.2
    assert jiwer.wer(GUEST, " ".join(spoken(found, "Channel 2"))) < 0.3
    assert all(s.words for s in found.segments)
    assert {s.speaker for s in found.segments if 7.0 < s.start < 10.5} == {"Channel 2"}
    assert {turn.speaker for turn in found.turns} == {"Host", "Channel 2"}
    files = found.save(tmp_path, ["txt", "html", "rttm"])
    assert files[0].read_text().startswith("Host: ")


def test_files_of_a_conversation_are_one_transcript(
    sides: list[np.ndarray], tmp_path: Path
) -> None:
    one = write_sound(tmp_path / "ana.wav", sides[0], rate_hz=44_100)
    other = write_sound(tmp_path / "bo.wav", sides[1][: 12 * RATE_HZ])
    found = longscribe.transcribe([one, other], **OPTIONS, together=True)
    assert {s.speaker for s in found.segments} == {"ana", "bo"}
    assert found.duration_s == pytest.approx(15.5, abs=0.01)
    starts = [s.start for s in found.segments]
    assert starts == sorted(starts)
    [page, sound] = found.save(tmp_path, ["html"])
    assert (page.name, sound.name) == ("ana.html", "ana.page.m4a")  # both, mixed


def test_what_cannot_be_told_apart_is_refused(sides: list[np.ndarray], tmp_path: Path) -> None:
    mono = write_sound(tmp_path / "mono.wav", sides[0][:RATE_HZ])
    with pytest.raises(RecordingError, match="one channel"):
        longscribe.transcribe(mono, **OPTIONS, speakers="channels")
    for source in ([], mono):
        with pytest.raises(OptionError, match="together takes a list of recordings"):
            longscribe.transcribe(source, **OPTIONS, together=True)
