"""Long generated recordings, made once and kept in benchmarks/results, and what they say."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import jiwer
import numpy as np
from av.audio.stream import AudioStream
from whisper.normalizers import BasicTextNormalizer

from benchmarks.sounds import Samples, read_sound

RATE_HZ = 16_000
SYNTHETIC = Path("demo/synthetic.opus")
RESULTS_FOLDER = Path("benchmarks/results")
_BLOCK_S = 10


class Recording(NamedTuple):
    """A FLAC file of held-out speech, with what is said beside it."""

    path: Path
    duration_s: float

    def sentences(self) -> list[dict[str, Any]]:
        """What is said, as {start, end, text, ...} in seconds."""
        text = self.path.with_suffix(".json").read_text(encoding="utf-8")
        rows: list[dict[str, Any]] = json.loads(text)
        return rows

    def word_errors(self, heard: str) -> "WordErrors":
        """How a transcript differs, both texts in lower case and without punctuation."""
        normalize = BasicTextNormalizer()
        said = " ".join(row["text"] for row in self.sentences())
        found = jiwer.process_words(normalize(said), normalize(heard))
        words = found.hits + found.substitutions + found.deletions
        return WordErrors(words, found.substitutions, found.deletions, found.insertions)

    def word_error_rate(self, heard: str) -> float:
        """Share of wrong words."""
        return self.word_errors(heard).rate


class WordErrors(NamedTuple):
    """Words said, and what became of those that a transcript got wrong."""

    words: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def rate(self) -> float:
        """Word error rate."""
        return (self.substitutions + self.deletions + self.insertions) / self.words


def recording(
    duration_s: float,
    seed: int,
    language: str = "en",
    folder: Path = RESULTS_FOLDER,
    *,
    noise: bool = True,
) -> Recording:
    """A recording of exactly this length by the demo's generator, in a quiet room or in none.

    The same seed says the same in every length: a shorter recording is the longer one's beginning,
    ended after a whole sentence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"long-{duration_s:g}-{language}-{seed}{'' if noise else '-clean'}.flac"
    if not path.exists():
        command = [sys.executable, "demo/make_recording.py", "--seed", str(seed)]
        command += ["--minutes", repr(duration_s / 60), "--language", language]
        command += [] if noise else ["--noise", "0"]
        subprocess.run([*command, "--out", str(path)], check=True)
    return Recording(path, duration_s)


def repeated(source: Recording, duration_s: float) -> Recording:
    """A recording of exactly this length that says the same again and again."""
    path = source.path.with_name(f"{source.path.stem}-repeated-{duration_s:g}.flac")
    if not path.exists():
        _write_repeated(source, path, duration_s)
    return Recording(path, duration_s)


def repeated_sample(path: Path, duration_s: float) -> Recording:
    """The synthetic sample again and again, without what is said beside it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flac(path, _wrapped(read_sound(SYNTHETIC), round(duration_s * RATE_HZ)))
    return Recording(path, duration_s)


def _write_repeated(source: Recording, path: Path, duration_s: float) -> None:
    repeats = int(-(-duration_s // source.duration_s))
    moved = [
        {**row, "start": row["start"] + offset_s, "end": row["end"] + offset_s}
        for offset_s in (number * source.duration_s for number in range(repeats))
        for row in source.sentences()
    ]
    kept = [row for row in moved if row["end"] <= duration_s]
    path.with_suffix(".json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    write_flac(path, _wrapped(read_sound(source.path), round(duration_s * RATE_HZ)))


def write_flac(path: Path, blocks: Iterable[Samples]) -> None:
    """Write samples as they come; the file is there only when it is whole."""
    partial = path.with_name(path.name + ".part")
    with av.open(str(partial), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE_HZ, layout="mono")
        assert isinstance(stream, AudioStream)
        for block in blocks:
            frame = av.AudioFrame.from_ndarray(block[None, :], format="s16", layout="mono")
            frame.sample_rate = RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    os.replace(partial, path)


def _wrapped(whole: Samples, samples: int) -> Iterator[Samples]:
    step = _BLOCK_S * RATE_HZ
    for start in range(0, samples, step):
        yield np.take(whole, np.arange(start, min(start + step, samples)), mode="wrap")
