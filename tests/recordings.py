"""The synthetic recordings as tests need them: their sound, and how well they were understood."""

import json
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import jiwer
import numpy as np
from whisper.normalizers import BasicTextNormalizer

from longscribe.audio import recording as audio
from longscribe.audio.voice_activity import Spans, levels_db, sound_spans
from tests.sounds import RATE_HZ, write_pcm, write_sound

SYNTHETIC = Path(__file__).resolve().parent.parent / "demo" / "synthetic.opus"
SYNTHETIC_PT = SYNTHETIC.with_name("synthetic-pt.opus")
PART_S = 72.0  # of the sample, to the middle of a pause: what most tests listen to


@cache
def beginning(recording: Path = SYNTHETIC, duration_s: float = PART_S) -> audio.Samples:
    """A recording's first seconds as samples."""
    with tempfile.TemporaryDirectory() as folder:
        whole = audio.accelerate(audio.probe(recording), 1.0, Path(folder) / "samples.pcm")
        return audio.to_float(audio.read_samples(whole.pcm_path, 0, round(duration_s * RATE_HZ)))


def write_beginning(folder: Path, recording: Path = SYNTHETIC, duration_s: float = PART_S) -> Path:
    """A recording's first seconds as a file of its name."""
    return write_sound(folder / f"{recording.stem}.wav", beginning(recording, duration_s))


def sound_in(samples: np.ndarray) -> Spans:
    """Where there is sound, as a run finds it."""
    with tempfile.TemporaryDirectory() as folder:
        levels = levels_db(write_pcm(Path(folder) / "a.pcm", samples), len(samples))
    return sound_spans(levels, len(samples) / RATE_HZ)


def word_error_rate(
    texts: Iterable[str], recording: Path = SYNTHETIC, end_s: float = PART_S
) -> float:
    """Of a transcript's texts against what was said until `end_s`."""
    normalize = BasicTextNormalizer()
    said = [
        item["text"]
        for item in json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))
        if item["end"] <= end_s
    ]
    return jiwer.wer(normalize(" ".join(said)), normalize(" ".join(texts)))
