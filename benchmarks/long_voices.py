"""Telling voices apart in hours of talk, its cost and memory: `python -m benchmarks.long_voices`.

A generated conversation is heard, each part by itself as workers do. What was heard is then taken
again and again, a little different each time, to make a recording of hours, and its people and
turns are found in a process of their own.
"""

import argparse
import base64
import multiprocessing
import resource
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.conversations import conversation, voices
from benchmarks.process_tree import peak_bytes
from benchmarks.sounds import as_int16, write_wav
from longscribe.audio.recording import SAMPLE_RATE_HZ, accelerate, probe
from longscribe.options.speakers import VoiceCount
from longscribe.speakers.diarization import diarize, spans_of
from longscribe.speakers.listening import Listener
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.weights import find_weights
from longscribe.speakers.windows import STEP_SAMPLES

_PEOPLE: Final = 5
_SEED: Final = 31
_DIFFERENT: Final = 0.02  # of a number of a voice
_PART_WINDOWS: Final = 120

Heard = list[tuple[Span, SpanVoices]]


def hear(path: Path, folder: Path) -> tuple[Heard, list[tuple[float, int]]]:
    """What is heard in a recording; core-seconds and the peak memory in bytes after each part."""
    torch.set_num_threads(1)
    audio = accelerate(probe(path), 1.0, folder / "samples.pcm")
    everything = np.array([[0.0, audio.duration_s]])
    weights = find_weights()
    listener = Listener(weights.segmentation, weights.embedding)
    heard, spent = [], []
    for span in spans_of(audio.pcm_path, audio.samples, everything):
        began_s = _spent_s()
        heard.append((span, listener.listen(span)))
        spent.append((_spent_s() - began_s, peak_bytes()))
    return heard, spent


def find_people(heard: Heard, hours: int) -> tuple[float, int, int, int]:
    """Core-seconds, the peak memory in bytes before and after, and people in so many hours."""
    step_s = STEP_SAMPLES / SAMPLE_RATE_HZ
    per_time = _PART_WINDOWS * len(heard)
    repeated = []
    for time in range(round(3600 * hours / (per_time * step_s))):
        chance = np.random.default_rng(time)
        for place, voices_there in heard:
            windows = tuple(number + time * per_time for number in place.windows)
            points = voices_there.heard_embeddings()
            points = points + chance.normal(0.0, _DIFFERENT, points.shape).astype(np.float32)
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            packed = base64.b64encode(points.astype("<f2").tobytes()).decode()
            repeated.append(
                (
                    place.model_copy(update={"windows": windows}),
                    voices_there.model_copy(update={"embeddings": packed}),
                )
            )
    before_bytes, began_s = peak_bytes(), _spent_s()
    everything = np.array([[0.0, 3600.0 * hours]])
    found = diarize(repeated, 3600.0 * hours, everything, VoiceCount(1, 20))
    return _spent_s() - began_s, before_bytes, peak_bytes(), len(found.people)


def _spent_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=int, default=30, help="that are heard, in tens")
    parser.add_argument("--hours", type=int, nargs="*", default=[1, 10])
    given = parser.parse_args(arguments)
    own = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "talk.wav"
        samples = conversation(voices(), _PEOPLE, 60.0 * given.minutes, _SEED).samples
        write_wav(path, as_int16(samples))
        with ProcessPoolExecutor(1, own) as pool:
            heard, spent = pool.submit(hear, path, Path(folder)).result()
    heard = [one for one in heard if len(one[0].windows) == _PART_WINDOWS]
    print(
        "| part of ten minutes | core-seconds | peak memory of the worker, MB |\n|---:|---:|---:|"
    )
    for number, (spent_s, held_bytes) in enumerate(spent, 1):
        print(f"| {number} | {spent_s:.1f} | {held_bytes / 1e6:.0f} |")
    print("\n| hours | people | core-seconds | peak memory before, MB | and after, MB |")
    print("|---:|---:|---:|---:|---:|")
    for hours in given.hours:
        with ProcessPoolExecutor(1, own) as pool:
            spent_s, before, after, people = pool.submit(find_people, heard, hours).result()
        print(
            f"| {hours} | {people} | {spent_s:.1f} | {before / 1e6:.0f} | {after / 1e6:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
