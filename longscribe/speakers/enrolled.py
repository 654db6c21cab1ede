"""Voices that people enrolled: a file each in the user's own folder, and nowhere else.

What is kept is 192 numbers that say what a voice sounds like, and the name; no sound.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from longscribe.cache.atomic_file import replace_file
from longscribe.errors import OptionError, OutputError
from longscribe.speakers.windows import EMBEDDING_SIZE, Embeddings
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

VOICES_VARIABLE: Final = "LONGSCRIBE_VOICES"

# Cosines of the same person in other recordings were 0.80 and 0.84, of two people 0.37 at most, in
# the eight voices of benchmarks/speech (2026-11-30): a curve between them, not a calibration.
_EVEN: Final = 0.6
_STEEPNESS: Final = 20.0
_SURE: Final = 0.9
_LONGEST_NAME: Final = 80


class EnrolledVoice(BaseModel):
    """A person's name and voice; `model` is the digest of the network that heard it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    voice: tuple[float, ...]
    spoken_s: float
    model: str


class Known(NamedTuple):
    """Who a voice is, and how probable that is."""

    name: str
    probability: float


def voices_folder() -> Path:
    """Where enrolled voices are: LONGSCRIBE_VOICES, or the user's data folder."""
    chosen = os.environ.get(VOICES_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / (
        "longscribe/voices"
    )


def enroll(voice: EnrolledVoice) -> Path:
    """Keep a voice, in the place of an earlier one of that name; its file.

    Raises:
        OptionError: the name cannot be one.
        OutputError: it cannot be kept.
    """
    name = voice.name.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or "," in name:
        raise OptionError(
            translated(
                "{name!r} is no name of a voice; give up to {most} letters without commas."
            ).format(name=voice.name, most=_LONGEST_NAME)
        )
    path = _path(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, voice.model_copy(update={"name": name}).model_dump_json().encode())
        path.chmod(0o600)
    except OSError as error:
        raise OutputError(
            translated("the voice cannot be kept in {folder}: {reason}.").format(
                folder=path.parent, reason=told(error)
            )
        ) from None
    return path


def enrolled() -> list[EnrolledVoice]:
    """All voices, by their names."""
    found = []
    for path in voices_folder().glob("*.json"):
        with suppress(OSError, ValidationError):  # a damaged one is nobody's
            voice = EnrolledVoice.model_validate_json(path.read_bytes())
            if len(voice.voice) == EMBEDDING_SIZE:
                found.append(voice)
    return sorted(found, key=lambda voice: voice.name)


def remove(name: str) -> None:
    """Forget a voice.

    Raises:
        OptionError: there is none of that name.
    """
    path = _path(name.strip())
    if not path.is_file():
        raise OptionError(
            translated("there is no voice {name!r}; there are: {names}.").format(
                name=name, names=", ".join(one.name for one in enrolled()) or translated("none")
            )
        )
    path.unlink()


def recognized(
    people: Embeddings, model: str, voices: Sequence[EnrolledVoice]
) -> Mapping[int, Known]:
    """Those of a recording's people who surely are enrolled.

    Args:
        people: what each sounds like, shape (people, 192), of length 1.
        model: digest of the network that heard them; voices of another one do not count.
        voices: that are enrolled.
    """
    from scipy.optimize import linear_sum_assignment

    voices = [voice for voice in voices if voice.model == model]
    if not voices or not len(people):
        return {}
    alike = people @ np.asarray([voice.voice for voice in voices], np.float32).T
    found = {}
    for person, voice in zip(*linear_sum_assignment(alike, maximize=True), strict=True):
        likely = 1.0 / (1.0 + np.exp(-_STEEPNESS * (float(alike[person, voice]) - _EVEN)))
        if likely >= _SURE:
            found[int(person)] = Known(voices[voice].name, round(float(likely), 3))
    return found


def _path(name: str) -> Path:
    return voices_folder() / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"
