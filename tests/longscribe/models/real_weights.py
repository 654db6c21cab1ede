"""OpenAI's own weights, from the packages of the index, and two minutes of real people's speech."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jiwer
import numpy as np
import pytest
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

import longscribe
from benchmarks.real_recordings import Utterance
from longscribe.audio import recording as audio
from longscribe.models import forms, index_packages
from longscribe.models.weights import resolve_model
from longscribe.transcript import Transcript
from tests.sounds import RATE_HZ, write_sound

SPEECH = Path(__file__).resolve().parents[3] / "benchmarks" / "speech"
TWO_MINUTES_S = 120.0
_PAUSE_S = 0.15

needs_base = pytest.mark.skipif(
    not index_packages.is_installed("base"), reason="the extra `base` is not installed"
)
needs_tiny_en = pytest.mark.skipif(
    not index_packages.is_installed("tiny.en"), reason="the extra `tiny-en` is not installed"
)


class Excerpt(NamedTuple):
    """The beginning of a recording, up to the end of an utterance."""

    path: Path
    said: str
    language: str
    utterances: tuple[Utterance, ...]

    def word_error_rate(self, heard: str, said: str = "") -> float:
        """In per cent, by Whisper's own normalizers; against `said` or what was really said."""
        normalize = EnglishTextNormalizer() if self.language == "en" else BasicTextNormalizer()
        return 100 * jiwer.wer(normalize(said or self.said), normalize(heard))


def excerpt(name: str, folder: Path, longest_s: float = TWO_MINUTES_S) -> Excerpt:
    """The beginning of one of the project's recordings, at most so long."""
    rows = json.loads((SPEECH / f"{name}.json").read_text(encoding="utf-8"))
    said = [row for row in rows if row["end"] <= longest_s]
    samples = np.concatenate(list(audio.decode(audio.probe(SPEECH / f"{name}.opus"))))
    cut = samples[: round((said[-1]["end"] + _PAUSE_S) * RATE_HZ)]
    path = write_sound(folder / f"{name}.wav", cut)
    utterances = tuple(
        Utterance(row["start"], row["end"], row["text"], row["language"]) for row in said
    )
    return Excerpt(path, " ".join(row["text"] for row in said), said[0]["language"], utterances)


def checkpoint(name: str) -> dict[str, Any]:
    """Installed weights as openai-whisper's own checkpoint holds them."""
    spec = resolve_model(name)
    return {"dims": spec.dims.model_dump(), "model_state_dict": forms.read(spec)}


def transcribed(heard: Excerpt, model: str | Path, **options: Any) -> Transcript:
    """What Longscribe makes of it at its own tempo, in this process."""
    options = {"speed": 1.0, "language": heard.language, **options}
    return longscribe.transcribe(heard.path, model=str(model), **options)


def text_of(transcript: Transcript) -> str:
    """All its text."""
    return "".join(segment.text for segment in transcript.segments)
