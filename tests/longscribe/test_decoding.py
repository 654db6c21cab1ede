"""The demo model on its own sample, through the engine without Prefect."""

import json
from pathlib import Path

import jiwer
import numpy as np
import pytest
from whisper.normalizers import BasicTextNormalizer

from benchmarks.serial import transcribe_serially
from longscribe import audio, decoding
from longscribe.chunks import Chunk
from longscribe.options import DecodingOptions, check_options
from longscribe.transcript import Transcript
from longscribe.weights import resolve_model
from tests.sounds import RATE_HZ, write_pcm, write_sound

SAMPLE = Path(__file__).resolve().parents[2] / "demo" / "sample.opus"
PART_S = 75.0


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The sample's first 75 s as samples."""
    folder = tmp_path_factory.mktemp("part")
    whole = audio.accelerate(audio.probe(SAMPLE), 1.0, folder / "samples.pcm")
    return audio.to_float(audio.read_samples(whole.pcm_path, 0, round(PART_S * RATE_HZ)))


def transcribed(path: Path, **options) -> Transcript:
    return transcribe_serially(check_options(recording=str(path), model="demo", **options))


def word_error_rate(transcript: Transcript) -> float:
    normalize = BasicTextNormalizer()
    reference = [
        item["text"]
        for item in json.loads(SAMPLE.with_suffix(".json").read_text(encoding="utf-8"))
        if item["end"] <= PART_S
    ]
    said = [s.text for s in transcript.segments if s.end <= PART_S - 0.5]
    return jiwer.wer(normalize(" ".join(reference)), normalize(" ".join(said)))


@pytest.fixture(scope="module")
def plain(part: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    path = write_sound(tmp_path_factory.mktemp("plain") / "a.wav", part)
    return transcribed(path)


@pytest.mark.parametrize(
    ("name", "rate_hz", "layout"),
    [
        ("a.mp3", 16_000, "mono"),
        ("a.m4a", 16_000, "mono"),
        ("a.opus", 48_000, "mono"),
        ("a.flac", 16_000, "mono"),
        ("a.webm", 48_000, "mono"),
        ("a.mp4", 44_100, "stereo"),
        ("a.wav", 44_100, "stereo"),
        ("a.wav", 8_000, "mono"),
    ],
)
def test_every_container_and_rate_is_understood_as_well_as_wav(
    tmp_path: Path, part: np.ndarray, plain: Transcript, name: str, rate_hz: int, layout: str
) -> None:
    path = write_sound(tmp_path / name, part, rate_hz=rate_hz, layout=layout, picture="mp4" in name)
    assert word_error_rate(transcribed(path)) <= word_error_rate(plain) + 0.03


def test_the_language_is_detected(plain: Transcript) -> None:
    assert plain.language == "en"
    assert word_error_rate(plain) <= 0.10


def test_a_chunk_gives_the_same_segments_again(tmp_path: Path, part: np.ndarray) -> None:
    path = write_sound(tmp_path / "a.wav", part[: 20 * RATE_HZ])
    first, second = (transcribed(path, temperature=0.4).segments for _ in range(2))
    assert first == second


def test_word_times_lie_within_their_segment(tmp_path: Path, part: np.ndarray) -> None:
    path = write_sound(tmp_path / "a.wav", part[: 20 * RATE_HZ])
    transcript = transcribed(path, word_timestamps=True)
    for segment in transcript.segments:
        assert segment.words
        assert "".join(w.word for w in segment.words).split() == segment.text.split()


def chunk_of(tmp_path: Path, samples: np.ndarray, sound: list[tuple[float, float]]) -> Chunk:
    return Chunk(
        index=0,
        count=1,
        pcm_path=write_pcm(tmp_path / "a.pcm", samples),
        start_sample=0,
        stop_sample=len(samples),
        original_start_s=0.0,
        original_end_s=len(samples) / RATE_HZ,
        sha256="ab" * 32,
        cut_in_pause=True,
        sound=tuple(sound),
    )


def test_a_silent_chunk_never_reaches_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the model was loaded for silence")

    monkeypatch.setattr(decoding, "load", refuse)
    chunk = chunk_of(tmp_path, np.zeros(RATE_HZ, np.float32), [])
    result = decoding.transcribe_chunk(chunk, resolve_model("demo"), DecodingOptions())
    assert result.segments == ()
    assert result.language == ""


def test_long_silences_are_left_out_and_short_ones_kept() -> None:
    sound = np.array([[1.0, 2.0], [4.0, 6.0], [30.0, 31.0]])
    clips = decoding.speech_clips(sound, 31 * RATE_HZ)
    assert clips == pytest.approx(np.array([[0.8, 6.2], [29.8, 31.0]]))


@pytest.mark.parametrize("samples", [16_000, 16_001, 16_159, 16_160, 159])
def test_clips_never_pass_the_end(samples: int) -> None:
    """One frame past it and upstream's loop never ends (openai/whisper#2005)."""
    clips = decoding.speech_clips(np.array([[0.0, samples / RATE_HZ]]), samples)
    assert all(round(end * 100) <= samples // 160 for _, end in clips)


def test_starts_and_ends_move_to_the_sound() -> None:
    sound = np.array([[2.0, 5.0], [8.0, 9.0]])
    for found, snapped in [
        ((0.5, 5.2), (2.1, 4.9)),  # the pause before it, and a little after it
        ((2.4, 4.7), (2.1, 4.9)),  # a little late, a little early
        ((2.0, 7.0), (2.1, 4.9)),  # the pause after it
        ((4.9, 8.8), (8.1, 8.9)),  # the pause before it, right from the segment before
        ((2.7, 4.2), (2.7, 4.2)),  # in the midst of sound: left alone
        ((6.0, 99.0), (8.1, 8.9)),  # never past the chunk
    ]:
        assert decoding._snapped(*found, sound, 10.0) == pytest.approx(snapped)


def test_real_speech_that_the_demo_model_does_not_know_runs_through() -> None:
    """John F. Kennedy's inaugural address, openai-whisper's own test recording."""
    transcript = transcribed(Path(__file__).with_name("jfk.opus"))
    assert transcript.duration_s == pytest.approx(11.0, abs=0.05)
    assert transcript.stretches[-1].end == pytest.approx(transcript.duration_s)
