"""Recordings of real people for benchmarks.real, with what they say, and clips made of them.

A recording NAME.opus has its utterances beside it, in NAME.json: {start, end, text, language, file}
each. In nonspeech/ lie recordings in which nobody speaks. benchmarks/speech holds those that may be
passed on, its LICENCES.md says whose they are; a further folder of the same form may add others.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.sounds import read_sound, write_wav
from longscribe.audio.recording import SAMPLE_RATE_HZ, decode, probe

SPEECH_FOLDER = Path(__file__).parent / "speech"
MORE_SPEECH_FOLDER = Path(__file__).parents[2] / "shared" / "speech"
NONSPEECH = "nonspeech"
AUTO = "auto"

# In this order: what a run shows first should be what tells most.
RECORDING_NAMES = (
    "lj001_a",
    "libri_other_a",
    "phone_hold_music",
    "pt_mix",
    "usgov_speeches",
    "es_fleurs",
    "fr_fleurs",
    "alternating_languages",
    *(f"{NONSPEECH}/{name}" for name in ("dishes", "street", "noise1")),
    *(f"{NONSPEECH}/{name}" for name in ("orchestra", "strings", "hold_music")),
    "ami_minutes",
    "pt_fleurs",
)
CLIP_DURATIONS_S = {
    "clip_11_s": 11.0, "clip_1_min": 60.0, "clip_10_min": 600.0, "clip_90_min": 5400.0,
}  # fmt: skip
_CLIPS_ARE_OF = ("lj001_a", "usgov_speeches")
# The bundled ones in English, the more difficult first.
ENGLISH = ("libri_other_a", "lj001_a", "usgov_speeches")
# Whose utterances' limits are exact, and many.
_TIMED = frozenset({"lj001_a"})


class Utterance(NamedTuple):
    """What somebody says from when to when; no text where it is not known."""

    start: float
    end: float
    text: str | None
    language: str


class RealRecording(NamedTuple):
    """A recording with its reference.

    Attributes:
        name: of RECORDING_NAMES or CLIP_DURATIONS_S.
        path: of the sound.
        duration_s: of the sound.
        utterances: where somebody speaks, in order.
        language: what the programs are told: a code, or `auto` where it changes.
        timed: whether the limits of the utterances are exact enough to measure against.
    """

    name: str
    path: Path
    duration_s: float
    utterances: tuple[Utterance, ...]
    language: str
    timed: bool = False

    @property
    def has_texts(self) -> bool:
        """Whether what is said is known."""
        return bool(self.utterances) and all(one.text is not None for one in self.utterances)

    @property
    def is_multilingual(self) -> bool:
        """Whether several languages are spoken."""
        return self.language == AUTO


def available_recordings(folders: Sequence[Path]) -> dict[str, RealRecording]:
    """The recordings of RECORDING_NAMES that one of the folders has; the first one counts."""
    found = {}
    for name in RECORDING_NAMES:
        path = _first(folders, f"{name}.opus")
        if path is not None:
            found[name] = read_recording(name, path)
    return found


def read_recording(name: str, path: Path) -> RealRecording:
    """A recording with the utterances that are listed beside it.

    Parts that are listed as somebody's silence (no language, an empty text: music on hold) are not
    utterances. Where nobody speaks the programs are told English, as they must be told something.
    """
    listed = path.with_suffix(".json")
    utterances = read_utterances(listed.read_text(encoding="utf-8")) if listed.exists() else ()
    languages = sorted({one.language for one in utterances})
    language = (languages or ["en"])[0] if len(languages) < 2 else AUTO
    return RealRecording(name, path, _duration_s(path), utterances, language, name in _TIMED)


def read_utterances(listed: str) -> tuple[Utterance, ...]:
    """The utterances in a list's JSON, without the parts in which nobody speaks."""
    return tuple(
        Utterance(one["start"], one["end"], one["text"], one["language"])
        for one in json.loads(listed)
        if one["text"] != ""
    )


def clip(name: str, folder: Path) -> RealRecording:
    """A clip of CLIP_DURATIONS_S, of the bundled English recordings over and over, as a WAV file.

    It is written to the folder on the first call. How well a program understands it is not asked.
    """
    duration_s = CLIP_DURATIONS_S[name]
    path = folder / f"{name}.wav"
    if not path.exists():
        write_again_and_again(_CLIPS_ARE_OF, duration_s, path.with_suffix(".part")).replace(path)
    return RealRecording(name, path, duration_s, (), "en")


def write_again_and_again(names: Sequence[str], duration_s: float, path: Path) -> Path:
    """Bundled recordings one after the other, until there is enough, as a WAV file."""
    said = np.concatenate([read_sound(SPEECH_FOLDER / f"{name}.opus") for name in names])
    return write_wav(path, np.resize(said, round(duration_s * SAMPLE_RATE_HZ)))


def _first(folders: Sequence[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def _duration_s(path: Path) -> float:
    recording = probe(path)
    if recording.declared_duration_s is not None:
        return recording.declared_duration_s
    return sum(len(block) for block in decode(recording)) / SAMPLE_RATE_HZ
