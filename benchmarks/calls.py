"""Calls made of real voices with a seed, a channel a side: who says what, and when, is known.

Each side is a reader of benchmarks/speech. They take turns, now and then before the other has
ended; each microphone also hears the others, weaker, a little later and duller, and has a noise of
its own.
"""

import json
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.real_recordings import SPEECH_FOLDER
from longscribe.audio.recording import SAMPLE_RATE_HZ, decode, probe

Samples = npt.NDArray[np.float32]

_LEVEL: Final = 0.06  # of an utterance, of full scale
_NOISE: Final = 0.001
_OVERLAPPING: Final = 0.2  # of the turns
_DELAY_S: Final = (0.002, 0.012)  # 0.7 to 4 m
_DULLER: Final = 0.35  # of a first-order low-pass


class Said(NamedTuple):
    """An utterance and where it is said, in seconds; `side` is the number of its channel."""

    start_s: float
    end_s: float
    side: int
    text: str


class Call(NamedTuple):
    """Samples at 16 kHz, (channels, n), with bleed and without, and what is said."""

    channels: Samples
    clean: Samples
    said: list[Said]


def utterances(folder: Path = SPEECH_FOLDER) -> list[list[tuple[Samples, str]]]:
    """The utterances of each reader with their words, those with most first."""
    found: dict[str, list[tuple[Samples, str]]] = {}
    for name in ("lj001_a", "libri_other_a"):
        samples = np.concatenate(list(decode(probe(folder / f"{name}.opus"))))
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for one in content:
            reader = Path(one["file"]).name.split("-")[0] if "libri" in name else name
            start, stop = (round(one[key] * SAMPLE_RATE_HZ) for key in ("start", "end"))
            found.setdefault(reader, []).append((samples[start:stop], one["text"]))
    return sorted(found.values(), key=lambda said: -sum(len(samples) for samples, _ in said))


def call(
    readers: list[list[tuple[Samples, str]]],
    duration_s: float,
    bleed: float,
    seed: int,
    gains_db: tuple[float, ...] = (),
) -> Call:
    """A call of so many sides as there are readers.

    Args:
        readers: their utterances, from `utterances`; begun again when all are said.
        duration_s: about how long.
        bleed: how loud a microphone hears the others, of what their own do.
        seed: of everything that is left to chance.
        gains_db: of the microphones; all alike without.
    """
    chance = np.random.default_rng(seed)
    sides = len(readers)
    clean = np.zeros((sides, round((duration_s + 60.0) * SAMPLE_RATE_HZ)), np.float32)
    said: list[Said] = []
    at_s, side, counts = 0.5, 0, [0] * sides
    while at_s < duration_s:
        for _ in range(int(chance.integers(1, 3))):
            samples, text = readers[side][counts[side] % len(readers[side])]
            counts[side] += 1
            level = float(np.sqrt(np.mean(samples**2)))
            start = round(at_s * SAMPLE_RATE_HZ)
            clean[side, start : start + len(samples)] += samples * (_LEVEL / level)
            said.append(Said(at_s, at_s + len(samples) / SAMPLE_RATE_HZ, side, text))
            at_s = said[-1].end_s + float(chance.uniform(0.2, 0.8))
        overlaps = chance.random() < _OVERLAPPING
        at_s += float(chance.uniform(-1.5, -0.5) if overlaps else chance.uniform(0.0, 1.0))
        side = int((side + chance.integers(1, sides)) % sides)
    clean = clean[:, : round((max(one.end_s for one in said) + 1.0) * SAMPLE_RATE_HZ)]
    channels = clean.copy()
    for source in range(sides):
        for other in range(sides):
            if other != source:
                delay = round(float(chance.uniform(*_DELAY_S)) * SAMPLE_RATE_HZ)
                channels[other, delay:] += bleed * _duller(clean[source])[: -delay or None]
    for mixed in (channels, clean):
        mixed += chance.normal(0.0, _NOISE, mixed.shape).astype(np.float32)
        for number, gain_db in enumerate(gains_db):
            mixed[number] *= 10 ** (gain_db / 20)
    return Call(np.clip(channels, -1.0, 1.0), np.clip(clean, -1.0, 1.0), sorted(said))


def _duller(samples: Samples) -> Samples:
    """What reaches a microphone from the side: with less of the high notes, as loud as before."""
    result = samples.copy()
    for tap in range(1, 9):
        result[tap:] += _DULLER**tap * samples[:-tap]
    scale = np.sqrt(np.mean(samples**2) / max(1e-12, float(np.mean(result**2))))
    return (result * np.float32(scale)).astype(np.float32)
