"""The Python API: whatever a recording is held in, in this process, without a server."""

import gc
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longscribe
from longscribe.errors import ModelError, OptionError, RecordingError
from longscribe.transcript import Transcript
from tests.recordings import RATE_HZ, beginning
from tests.sounds import write_sound

OPTIONS: dict[str, Any] = {"model": "demo", "language": "en", "speed": 1.0}
DURATION_S = 20.0


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return beginning(duration_s=DURATION_S)


@pytest.fixture(scope="module")
def path(samples: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sound") / "talk & more.wav", samples)


@pytest.fixture(scope="module")
def found(path: Path) -> longscribe.Transcription:
    return longscribe.transcribe(path, **OPTIONS)


def test_a_path_gives_a_transcript(found: longscribe.Transcription) -> None:
    assert isinstance(found, Transcript)
    assert len(found.text.split()) > 20
    assert found.segments[0].start < 2.0
    assert found.duration_s == pytest.approx(DURATION_S, abs=0.01)
    assert (found.language, found.model, found.recording) == ("en", "demo", "talk & more.wav")


def test_whatever_it_is_held_in(
    path: Path, samples: np.ndarray, found: longscribe.Transcription
) -> None:
    from pydub import AudioSegment

    whole = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    held = AudioSegment(whole.tobytes(), sample_width=2, frame_rate=RATE_HZ, channels=1)
    with path.open("rb") as file:
        texts = [
            longscribe.transcribe(source, **OPTIONS, **more).text
            for source, more in (
                (str(path), {}),
                (file, {}),
                (io.BytesIO(path.read_bytes()), {}),
                (samples, {"rate_hz": RATE_HZ}),
                (np.stack([samples, samples], axis=1), {"rate_hz": RATE_HZ}),
                (whole, {"rate_hz": RATE_HZ}),
                (held, {}),
            )
        ]
    assert set(texts) == {found.text}


def test_silence_needs_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        pytest.fail("a recording in which nothing sounds was given to the model")

    monkeypatch.setattr("longscribe.decoding.chunk.load", load)
    silence = np.zeros(5 * RATE_HZ, np.float32)
    assert longscribe.transcribe(silence, **OPTIONS, rate_hz=RATE_HZ).segments == ()


def test_progress_is_told_chunk_by_chunk(path: Path) -> None:
    told: list[tuple[float, float]] = []
    longscribe.transcribe(
        path, **OPTIONS, chunk_minutes=0.5, on_progress=lambda *seconds: told.append(seconds)
    )
    assert told == [(pytest.approx(DURATION_S), pytest.approx(DURATION_S))]


def test_a_stream_gives_the_same_segments_as_they_come(tmp_path: Path) -> None:
    long = write_sound(tmp_path / "long.wav", beginning(duration_s=75.0))
    whole = longscribe.transcribe(long, **OPTIONS, chunk_minutes=0.5)
    assert len(whole.seams_s) >= 1
    segments = longscribe.stream(long, **OPTIONS, chunk_minutes=0.5)
    first = next(segments)
    assert first.text == whole.segments[0].text
    given = [first, *segments]
    assert [one.text for one in given] == [one.text for one in whole.segments]
    assert [one.start for one in given] == [one.start for one in whole.segments]


def test_it_is_saved_in_every_format(found: longscribe.Transcription, tmp_path: Path) -> None:
    files = found.save(tmp_path / "out", "all")
    assert {file.name for file in files} >= {f"talk & more.{s}" for s in ("txt", "srt", "docx")}
    assert "talk%20%26%20more.wav" in (tmp_path / "out" / "talk & more.html").read_text()
    written = json.loads((tmp_path / "out" / "talk & more.json").read_text())
    assert written["text"] == found.text
    with pytest.raises(OptionError, match="formats: 'pdf' is unknown"):
        found.save(tmp_path / "out", "pdf")


def test_a_page_of_samples_has_a_copy_of_them(samples: np.ndarray, tmp_path: Path) -> None:
    found = longscribe.transcribe(samples[: 5 * RATE_HZ], rate_hz=RATE_HZ, **OPTIONS)
    names = {file.name for file in found.save(tmp_path, ["html"])}
    assert names == {"samples.html", "samples.page.m4a"}


def test_a_segment_can_be_heard(found: longscribe.Transcription, samples: np.ndarray) -> None:
    segment = found.segments[1]
    heard = segment.audio()
    assert heard.duration_seconds == pytest.approx(segment.end - segment.start, abs=0.001)
    cut = samples[round(segment.start * RATE_HZ) : round(segment.end * RATE_HZ)]
    taken = np.asarray(heard.get_array_of_samples()) / 32767
    assert np.abs(taken - cut).max() < 1e-3


def test_a_notebook_shows_a_table(found: longscribe.Transcription) -> None:
    shown = found._repr_html_()
    assert "talk &amp; more.wav" in shown
    assert shown.count("<tr>") == len(found.segments)


def test_what_was_made_for_it_is_gone_with_it(samples: np.ndarray) -> None:
    found = longscribe.transcribe(samples[: 5 * RATE_HZ], rate_hz=RATE_HZ, **OPTIONS)
    folder, segment = found._held.folder, found.segments[0]
    del found
    gc.collect()
    assert segment.audio().duration_seconds > 0
    del segment
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("source", "options", "says"),
    [
        ("nowhere.wav", {}, "'nowhere.wav' does not exist"),
        (np.zeros(9), {}, "rate_hz: samples need their rate"),
        (np.zeros((2, 9)), {"rate_hz": 16000}, "is no .samples"),
        (np.zeros(9, np.int64), {"rate_hz": 16000}, "float or int16, not int64"),
        (io.StringIO("text"), {}, "binary mode"),
        (7, {}, "a int is no recording"),
        ("nowhere.wav", {"rate_hz": 16000}, "rate_hz: only samples"),
        ("nowhere.wav", {"wrokers": 3}, "wrokers: there is no such option; .*word_timestamps"),
        ("nowhere.wav", {"workers": 3}, "workers: there is no such option"),
        ("nowhere.wav", {"speed": 9.0}, "--speed: .*2"),
        ("nowhere.wav", {"language": "xx"}, "--language: 'xx'"),
    ],
)
def test_bad_input_is_one_sentence(source: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises((OptionError, RecordingError), match=says) as caught:
        longscribe.transcribe(source, **{"model": "demo", **options})
    assert "\n" not in str(caught.value)


def test_an_unknown_model_is_refused_before_the_recording_is_read() -> None:
    with pytest.raises(ModelError, match="unknown model 'huge'"):
        longscribe.transcribe("nowhere.wav", model="huge")


def test_neither_prefect_nor_torch_is_imported_early() -> None:
    code = (
        "import sys, longscribe\n"
        "assert longscribe.__version__ and longscribe.transcribe\n"
        "print({'prefect', 'torch'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_everything_it_offers_is_there() -> None:
    for name in longscribe.__all__:
        assert getattr(longscribe, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute"):
        _ = longscribe.transcribed
