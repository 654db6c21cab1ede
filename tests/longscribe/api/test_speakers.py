"""Who speaks, in this process; the networks are played by what they would hear."""

from collections.abc import Callable
from pathlib import Path

import pytest

import longscribe
from longscribe.errors import OptionError
from longscribe.speakers import listening
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.weights import SpeakerWeights
from tests.longscribe.speakers.made import heard
from tests.recordings import beginning
from tests.sounds import write_sound


class Ears:
    """Hear one person for ten seconds and then another."""

    def listen(self, span: Span, on_progress: Callable[[], None] = lambda: None) -> SpanVoices:
        return heard([(0.0, 10.0, 0), (10.0, 20.0, 1)], span.windows)[1]


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = SpeakerWeights(Path("a.pt"), Path("b.pt"), ("a", "b"))
    monkeypatch.setattr("longscribe.speakers.diarizer.find_weights", lambda: weights)
    monkeypatch.setattr(listening, "listener", lambda _: Ears())


def test_segments_and_words_have_a_speaker(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "talk.wav", beginning(duration_s=20.0))
    found = longscribe.transcribe(
        *(path, "demo"),
        language="en", speed=1.2, speakers="auto", speaker_names="Ana", word_timestamps=True,
    )  # fmt: skip
    assert found.segments[0].speaker == "Ana"
    assert found.segments[-1].speaker == "SPEAKER_01"
    assert list(dict.fromkeys(t.speaker for t in found.turns)) == ["Ana", "SPEAKER_01"]
    for segment in found.segments:
        for word in segment.words or ():
            assert word.speaker == segment.speaker
            assert (word.speaker == "Ana") == ((word.start + word.end) / 2 < 10.0)


def test_a_bad_way_is_refused_before_anything() -> None:
    with pytest.raises(OptionError, match="--speakers"):
        longscribe.transcribe("no.wav", "demo", speakers="21")
