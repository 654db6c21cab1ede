"""Conversations made of real voices with a seed: who speaks when, and what, is known.

The voices are the readers and speakers of benchmarks/speech. Their utterances are cut at pauses
into phrases; turns of one to three phrases follow one another with pauses, some of them before the
other has ended, and listeners say something short in between.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.real_recordings import SPEECH_FOLDER
from longscribe.audio.recording import SAMPLE_RATE_HZ, decode, probe

Samples = npt.NDArray[np.float32]

_HOP: Final = 160
_QUIET_DB: Final = -32.0  # below an utterance's loud moments
_ABOVE_BACKGROUND: Final = 0.25  # of the way from background to loud moments
_PAUSE_S: Final = 0.3
_LONGEST_PHRASE_S: Final = 7.0
_SHORTEST_PHRASE_S: Final = 0.6
_SHORT_S: Final = (0.5, 1.6)
_OVERLAPPING: Final = 0.15  # of the turns
_INTERJECTED: Final = 0.08
_LEVEL: Final = 0.06
_NOISE: Final = 0.0015
_FEWEST_PHRASES: Final = 10
# Two addresses of each; the fifth speech is too short.
_SPEAKERS: Final = {
    "en/usgov/columbia.wma": "Bush",
    "en/usgov/gb0.wav": "Bush",
    "en/usgov/address.mp3": "Trump",
    "en/usgov/address0413218.mp3": "Trump",
    "en/usgov/jfk.flac": "Kennedy",
}


class Phrase(NamedTuple):
    """Some words of somebody, and where in them there is no pause: (first, last) samples."""

    samples: Samples
    loud: list[tuple[int, int]]


class Spoken(NamedTuple):
    """A phrase, or a part of one between pauses, and where it is spoken, in seconds; `voice` is a
    number from 0.
    """

    start_s: float
    end_s: float
    voice: int


class Conversation(NamedTuple):
    """Samples at 16 kHz, and who speaks when in them."""

    samples: Samples
    spoken: list[Spoken]


def voices(folder: Path = SPEECH_FOLDER) -> list[list[Phrase]]:
    """The phrases of each voice: of six readers and two speakers."""
    found: dict[str, list[Phrase]] = {}
    for name in ("libri_other_a", "lj001_a", "usgov_speeches"):
        samples = np.concatenate(list(decode(probe(folder / f"{name}.opus"))))
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for one in content["utterances"] if isinstance(content, dict) else content:
            voice = (
                one["file"].split("-")[0] if "libri" in name else _SPEAKERS.get(one["file"], name)
            )
            start, stop = (round(one[key] * SAMPLE_RATE_HZ) for key in ("start", "end"))
            found.setdefault(voice, []).extend(phrases(samples[start:stop]))
    return [said for said in found.values() if len(said) >= _FEWEST_PHRASES]


def phrases(samples: Samples) -> Iterator[Phrase]:
    """The parts of an utterance between its pauses, none much longer than some seconds."""
    held: list[tuple[int, int]] = []
    for first, last in [*loud_spans(samples), (len(samples) * 9, 0)]:
        if held and first - held[0][0] > _LONGEST_PHRASE_S * SAMPLE_RATE_HZ:
            if held[-1][1] - held[0][0] >= _SHORTEST_PHRASE_S * SAMPLE_RATE_HZ:
                start = held[0][0]
                loud = [(a - start, b - start) for a, b in held]
                yield Phrase(samples[start : held[-1][1]], loud)
            held = []
        held.append((first, last))


def loud_spans(samples: Samples) -> list[tuple[int, int]]:
    """Where there is more than background, in samples; pauses are between."""
    count = len(samples) // _HOP
    energy = (samples[: count * _HOP].reshape(count, _HOP) ** 2).mean(1)
    level = 10 * np.log10(energy + 1e-10)
    quiet, loud = np.percentile(level, (10, 95))
    is_loud = level > max(loud + _QUIET_DB, quiet + _ABOVE_BACKGROUND * (loud - quiet))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_loud.astype(np.int8), [0]))))
    joined: list[list[int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if joined and (first - joined[-1][1]) * _HOP < _PAUSE_S * SAMPLE_RATE_HZ:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    return [(first * _HOP, last * _HOP) for first, last in joined if last - first > 5]


def conversation(
    said: list[list[Phrase]], people: int, duration_s: float, seed: int
) -> Conversation:
    """A conversation of so many people.

    Args:
        said: the phrases of each voice there is, from `voices`.
        people: how many of them talk.
        duration_s: about how long.
        seed: of everything that is left to chance.
    """
    chance = np.random.default_rng(seed)
    chosen = chance.choice(len(said), people, replace=False)
    gains = 10 ** (chance.uniform(-4.0, 4.0, people) / 20)
    result = np.zeros(round((duration_s + 60.0) * SAMPLE_RATE_HZ), np.float32)
    spoken: list[Spoken] = []
    decks: list[list[int]] = [[] for _ in chosen]

    def phrase(who: int) -> Phrase:
        if not decks[who]:
            decks[who] = chance.permutation(len(said[chosen[who]])).tolist()
        one = said[chosen[who]][decks[who].pop()]
        level = max(1e-4, float(np.sqrt((one.samples**2).mean())))
        louder: Phrase = one._replace(
            samples=np.asarray(one.samples * (_LEVEL * gains[who] / level), np.float32)
        )
        return louder

    def say(who: int, one: Phrase, at_s: float) -> float:
        at = max(0, round(at_s * SAMPLE_RATE_HZ))
        stop = at + len(one.samples)
        result[at:stop] += one.samples
        for first, last in one.loud:
            if first < len(one.samples):
                start_s, end_s = ((at + edge) / SAMPLE_RATE_HZ for edge in (first, last))
                spoken.append(Spoken(start_s, min(end_s, stop / SAMPLE_RATE_HZ), who))
        return stop / SAMPLE_RATE_HZ

    at_s, who = 0.5, 0
    while at_s < duration_s:
        if people > 1:
            who = int((who + chance.integers(1, people)) % people)
        start_s = at_s
        for _ in range(int(chance.integers(1, 4))):
            at_s = say(who, phrase(who), at_s) + float(chance.uniform(0.1, 0.4))
        if people > 1 and chance.random() < _INTERJECTED:
            other = int((who + chance.integers(1, people)) % people)
            long = phrase(other)
            samples = long.samples[: round(chance.uniform(*_SHORT_S) * SAMPLE_RATE_HZ)]
            say(
                other,
                long._replace(samples=samples),
                float(chance.uniform(start_s, max(start_s, at_s - 1.0))),
            )
        if people > 1 and chance.random() < _OVERLAPPING:
            at_s -= float(chance.uniform(0.3, 1.5))
        else:
            at_s += float(chance.uniform(0.0, 0.8))
    end = round(max(one.end_s for one in spoken) * SAMPLE_RATE_HZ) + SAMPLE_RATE_HZ // 2
    result = result[:end] + chance.normal(0.0, _NOISE, end).astype(np.float32)
    return Conversation(np.asarray(np.clip(result, -1.0, 1.0), np.float32), sorted(spoken))
