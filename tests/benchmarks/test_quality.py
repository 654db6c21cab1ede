from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quality import (
    Invented,
    Quality,
    Setting,
    count_over_silence,
    invented_words,
    summed,
    windows_with_text,
)
from benchmarks.recordings import Recording, WordErrors
from benchmarks.rough_recording import RoughRecording, Scene

SPEECH = np.array([(10.0, 14.0), (15.0, 20.0), (60.0, 65.0)])
ROUGH = RoughRecording(
    Recording(Path("rough.flac"), 100.0), (Scene(25.0, 35.0, "noise"), Scene(70.0, 90.0, "tones"))
)


def segment(start: float, end: float, text: str, **values: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, "seek": 0, "temperature": 0.0, **values}


def test_words_are_invented_where_nobody_speaks() -> None:
    segments = [
        segment(9.0, 14.5, " We meet in the garden."),
        segment(19.0, 40.0, " Late, but while somebody speaks."),
        segment(26.0, 30.0, " Thank you."),
        segment(80.0, 82.0, " Music."),
        segment(50.0, 52.0, " Nothing at all."),
    ]
    assert invented_words(segments, SPEECH, ROUGH) == (2, 1, 3)


def test_segments_over_long_silences_count() -> None:
    segments = [
        segment(10.0, 20.0, " Over a pause of a second."),
        segment(9.2, 14.0, " A little early."),
        segment(15.0, 22.0, " Far into silence."),
        segment(90.0, 99.0, " Nobody."),
    ]
    assert count_over_silence(segments, SPEECH, 100.0) == 2


def test_windows_are_told_by_where_they_start() -> None:
    segments = [
        segment(0.0, 1.0, " a", seek=0),
        segment(1.0, 2.0, " b", seek=0),
        segment(2.0, 3.0, " c", seek=2800, temperature=0.4),
        segment(3.0, 4.0, " d", seek=2800, temperature=0.4),
        segment(4.0, 5.0, " e", seek=5800),
    ]
    assert windows_with_text(segments) == (3, 1)


def test_recordings_are_summed() -> None:
    setting = Setting("batched", "int8")
    part = Quality(setting, WordErrors(100, 3, 2, 1), Invented(1, 2, 3), 10, 1, 20, 0, 1.5)
    both = summed([part, part])
    assert both.errors == WordErrors(200, 6, 4, 2)
    assert both.errors.rate == pytest.approx(0.06)
    assert both[2:] == (Invented(2, 4, 6), 20, 2, 40, 0, 3.0)
