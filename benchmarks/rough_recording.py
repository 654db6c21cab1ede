"""A recording with long silences, changing noise and stretches without speech, and what is said.

Clean sentences of the demo's generator are put on a new time line: stretches of speech of 5 s to
2 minutes, silences of as much between them, so speech takes about half. Behind it lies a noise
whose kind and level change every few minutes, from a quiet room to 15 dB below the speech. In some
of the silences something else is heard alone: loud noise, or tones as of simple music. All is drawn
from the seed, so the same seed gives the same samples.
"""

import json
import math
import random
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.recordings import (
    RATE_HZ,
    RESULTS_FOLDER,
    Recording,
    recording,
    write_flac,
)
from benchmarks.sounds import Samples, read_sound
from demo.windows import noise_bank

_SHORTEST_S, _LONGEST_S = 5.0, 120.0  # of a stretch of speech and of a silence
_PAUSES_S = (0.2, 1.2)  # between the sentences of a stretch
_TAIL_S = 0.5

# Every sentence is made as loud, -24 dB of full scale, so that the noise's distance is the same.
_SPEECH_LEVEL = 10 ** (-24 / 20)
_ROOM_LEVEL = 5e-4
# Kind of noise, and how far it lies below speech in dB; None is a quiet room.
_BACKGROUNDS: tuple[tuple[str, float | None], ...] = (
    ("pink", None), ("white", 20.0), ("brown", 15.0), ("pink", None), ("pink", 17.0), ("hum", 20.0),
)  # fmt: skip
_BACKGROUND_S = (100.0, 300.0)
_FADE_S = 0.5
_LOOP_S = 60

# What is heard alone, in turn, in silences with room for it; None leaves one silent.
_ALONE: tuple[Literal["noise", "tones"] | None, ...] = ("noise", None, "tones", None)
_ALONE_IN_S = 20.0
_ALONE_MARGIN_S = 3.0
_ALONE_LENGTHS_S = (8.0, 40.0)
_NOISE_ALONE_DB, _TONES_DB = -6.0, -3.0  # against speech
_SCALE_HZ = (220.0, 247.5, 275.0, 330.0, 366.7, 440.0, 495.0, 550.0)  # pentatonic, just
_NOTES_S = (0.2, 0.3, 0.4, 0.6, 0.8)

Sound = npt.NDArray[np.float32]


class Sentence(NamedTuple):
    """What somebody says, and how it sounds."""

    row: dict[str, Any]  # of the source's reference
    samples: Samples


class Placed(NamedTuple):
    """A sentence on the time line; `start` is its first sample."""

    start: int
    sentence: Sentence

    @property
    def stop(self) -> int:
        """The sample after its last one."""
        return self.start + len(self.sentence.samples)


class Scene(NamedTuple):
    """A stretch, in seconds, in which something other than speech is heard alone."""

    start: float
    end: float
    kind: Literal["noise", "tones"]


class Plan(NamedTuple):
    """What is heard when; `changes_s` are the moments at which the background changes."""

    duration_s: float
    placed: tuple[Placed, ...]
    scenes: tuple[Scene, ...]
    changes_s: tuple[float, ...]


class RoughRecording(NamedTuple):
    """The file, and the stretches in which something other than speech is heard alone."""

    heard: Recording
    scenes: tuple[Scene, ...]


def rough_recording(
    duration_s: float,
    seed: int,
    folder: Path = RESULTS_FOLDER,
    language: str = "en",
    *,
    tones: bool = True,
) -> RoughRecording:
    """The recording of a seed, made on the first call; without `tones` only noise is alone."""
    kinds = "" if tones else "-without-tones"
    path = folder / f"rough-{duration_s:g}-{language}-{seed}{kinds}.flac"
    scenes_path = path.with_suffix(".scenes.json")
    if not path.exists():
        # As long as the recording itself: half of its sentences would do.
        source = recording(duration_s, seed, language, folder, noise=False)
        plan = make_plan(sentences_of(source), duration_s, seed, tones=tones)
        path.with_suffix(".json").write_text(
            json.dumps(reference(plan), ensure_ascii=False), encoding="utf-8"
        )
        scenes_path.write_text(json.dumps([s._asdict() for s in plan.scenes]), encoding="utf-8")
        write_flac(path, blocks(plan, seed))
    scenes = json.loads(scenes_path.read_text(encoding="utf-8"))
    return RoughRecording(Recording(path, duration_s), tuple(Scene(**scene) for scene in scenes))


def sentences_of(source: Recording) -> Iterator[Sentence]:
    """The sentences of a clean recording, in order."""
    samples = read_sound(source.path)
    for row in source.sentences():
        yield Sentence(row, samples[round(row["start"] * RATE_HZ) : round(row["end"] * RATE_HZ)])


def make_plan(
    sentences: Iterable[Sentence], duration_s: float, seed: int, *, tones: bool = True
) -> Plan:
    """Put sentences on a time line of this length, silences between stretches of them."""
    rng = random.Random(f"rough {seed}")
    placed: list[Placed] = []
    source = iter(sentences)
    end = round((duration_s - _TAIL_S) * RATE_HZ)
    position, spoken, is_full = 0, 0, False
    while not is_full:
        # The longer of two silences while speech is ahead, so that it ends near a half.
        longer_of = max if 2 * spoken > position else min
        position += round(longer_of(_stretch_s(rng), _stretch_s(rng)) * RATE_HZ)
        began = position
        stretch_end = position + round(_stretch_s(rng) * RATE_HZ)
        while position < stretch_end:
            sentence = next(source, None)
            if sentence is None or position + len(sentence.samples) > end:
                is_full = True
                break
            placed.append(Placed(position, sentence))
            position = placed[-1].stop + round(rng.uniform(*_PAUSES_S) * RATE_HZ)
        position = placed[-1].stop if placed else position
        spoken += position - began
    silences = _silences(placed, duration_s)
    scenes = tuple(scene for scene in _scenes(silences, rng) if tones or scene.kind != "tones")
    return Plan(duration_s, tuple(placed), scenes, tuple(_changes_s(silences, rng)))


def reference(plan: Plan) -> list[dict[str, Any]]:
    """What is said when, as the demo's recordings have it beside them."""
    return [
        {
            **placed.sentence.row,
            "start": round(placed.start / RATE_HZ, 3),
            "end": round(placed.stop / RATE_HZ, 3),
        }
        for placed in plan.placed
    ]


def blocks(plan: Plan, seed: int) -> Iterator[Samples]:
    """The recording's samples, a minute at a time."""
    noises = noise_bank(_LOOP_S, seed)
    whole = _background(plan, noises)
    for placed in plan.placed:
        whole[placed.start : placed.stop] += _as_loud(placed.sentence.samples)
    rng = np.random.default_rng(seed)
    for scene in plan.scenes:
        start, length = round(scene.start * RATE_HZ), round((scene.end - scene.start) * RATE_HZ)
        if scene.kind == "tones":
            sound = _tones(length, rng)
        else:
            sound = noises[("white", "pink", "brown")[rng.integers(3)]][:length]
            sound = sound * np.float32(_SPEECH_LEVEL * 10 ** (_NOISE_ALONE_DB / 20))
        whole[start : start + length] += sound * _faded(length)
    for start in range(0, len(whole), 60 * RATE_HZ):
        block = np.round(whole[start : start + 60 * RATE_HZ] * 32767)
        yield np.clip(block, -32768, 32767).astype(np.int16)


def _stretch_s(rng: random.Random) -> float:
    return math.exp(rng.uniform(math.log(_SHORTEST_S), math.log(_LONGEST_S)))


def _silences(placed: list[Placed], duration_s: float) -> list[tuple[float, float]]:
    """The silences between stretches, in seconds; pauses within a stretch are none."""
    edges = [0.0, *(edge / RATE_HZ for one in placed for edge in (one.start, one.stop)), duration_s]
    between = zip(edges[::2], edges[1::2], strict=True)
    return [(start_s, end_s) for start_s, end_s in between if end_s - start_s >= _SHORTEST_S]


def _scenes(silences: Iterable[tuple[float, float]], rng: random.Random) -> Iterator[Scene]:
    roomy = [silence for silence in silences if silence[1] - silence[0] >= _ALONE_IN_S]
    for number, (start_s, end_s) in enumerate(roomy):
        kind = _ALONE[number % len(_ALONE)]
        if kind is not None:
            room_s = end_s - start_s - 2 * _ALONE_MARGIN_S
            length_s = min(room_s, rng.uniform(*_ALONE_LENGTHS_S))
            at_s = start_s + _ALONE_MARGIN_S
            yield Scene(round(at_s, 3), round(at_s + length_s, 3), kind)


def _changes_s(silences: Iterable[tuple[float, float]], rng: random.Random) -> Iterator[float]:
    """Near the end of silences, so that nobody speaks meanwhile."""
    due_s = rng.uniform(*_BACKGROUND_S)
    for _, end_s in silences:
        if end_s >= due_s:
            yield end_s - _ALONE_MARGIN_S / 2
            due_s = end_s + rng.uniform(*_BACKGROUND_S)


def _background(plan: Plan, noises: dict[str, Sound]) -> Sound:
    whole = np.zeros(round(plan.duration_s * RATE_HZ), np.float32)
    fade = round(_FADE_S * RATE_HZ)
    bounds = [0, *(round(change_s * RATE_HZ) for change_s in plan.changes_s), len(whole)]
    for number, (start, stop) in enumerate(pairwise(bounds)):
        kind, below_db = _BACKGROUNDS[number % len(_BACKGROUNDS)]
        level = _ROOM_LEVEL if below_db is None else _SPEECH_LEVEL * 10 ** (-below_db / 20)
        # One fades out while the next fades in; a loop of noise joins its own beginning.
        first, last = max(0, start - fade), min(len(whole), stop + fade)
        loop = np.take(noises[kind], np.arange(first, last), mode="wrap")
        shape = np.ones(last - first, np.float32)
        if start > 0:
            shape[: 2 * fade] = np.linspace(0, 1, 2 * fade)
        if stop < len(whole):
            shape[-2 * fade :] = np.linspace(1, 0, 2 * fade)
        whole[first:last] += loop * shape * np.float32(level)
    return whole


def _as_loud(samples: Samples) -> Sound:
    sound = samples.astype(np.float32)
    level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return sound * np.float32(_SPEECH_LEVEL / max(level, 1.0))


def _tones(length: int, rng: np.random.Generator) -> Sound:
    """A tune of plucked notes, each with its overtones, over a drone."""
    time_s = np.arange(length) / RATE_HZ
    sound = 0.3 * (np.sin(2 * np.pi * 110 * time_s) + 0.5 * np.sin(2 * np.pi * 165 * time_s))
    position = 0
    while position < length:
        note_s = float(rng.choice(_NOTES_S))
        hertz = float(rng.choice(_SCALE_HZ)) * int(rng.choice((1, 1, 2)))
        part = slice(position, min(length, position + round(note_s * RATE_HZ)))
        since_s = time_s[part] - time_s[position]
        for overtone in (1, 2, 3, 4):
            wave = np.sin(2 * np.pi * overtone * hertz * since_s) / overtone**1.5
            sound[part] += wave * np.exp(-4 * overtone * since_s) * np.minimum(since_s / 0.01, 1)
        position = part.stop
    scale = _SPEECH_LEVEL * 10 ** (_TONES_DB / 20) / max(float(sound.std()), 1e-9)
    return (sound * scale).astype(np.float32)


def _faded(length: int) -> Sound:
    edge = np.minimum(np.arange(length), np.arange(length)[::-1]) / (_FADE_S * RATE_HZ)
    return np.minimum(edge, 1).astype(np.float32)
