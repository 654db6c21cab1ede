"""Enrolling a voice from a sample of it."""

import tempfile
from pathlib import Path
from typing import Final

from longscribe.api.speakers import hear
from longscribe.audio.activity import activity_of
from longscribe.audio.recording import accelerate, probe
from longscribe.errors import RecordingError
from longscribe.options.speakers import MOST_VOICES, VoiceCount
from longscribe.speakers.built_in import BuiltIn
from longscribe.speakers.enrolled import EnrolledVoice, enroll
from longscribe.speakers.weights import find_weights
from longscribe.wording.catalog import translated

_LEAST_S: Final = 5.0


def add_voice(name: str, sample: str | Path) -> EnrolledVoice:
    """Enroll a voice on this machine, for this user.

    Args:
        name: of the person.
        sample: path of a recording of that person alone, some seconds or more.

    Raises:
        OptionError: the name cannot be one.
        RecordingError: the sample cannot be read, is too short, or has several voices.
        ModelError: the networks cannot be had.
        OutputError: it cannot be kept.
    """
    weights = find_weights()
    with tempfile.TemporaryDirectory(prefix="longscribe-") as folder:
        audio = accelerate(probe(Path(sample)), 1.0, Path(folder, "samples.pcm"))
        _, sound, speech = activity_of(audio, "model")
        found = hear(audio, sound, speech, BuiltIn(weights, VoiceCount(1, MOST_VOICES)))
    spoken_s = sum(end_s - start_s for start_s, end_s, _ in found.turns)
    if spoken_s < _LEAST_S:
        raise RecordingError(
            translated(
                "{path} has {spoken:.1f} s of speech; give a sample with {least:.0f} s or more."
            ).format(path=sample, spoken=spoken_s, least=_LEAST_S)
        )
    if len(found.people) > 1:
        raise RecordingError(
            translated(
                "{path} has {count} voices; give a sample in which one person speaks."
            ).format(path=sample, count=len(found.people))
        )
    voice = EnrolledVoice(
        name=name,
        voice=tuple(round(float(part), 5) for part in found.people[0]),
        spoken_s=round(spoken_s, 1),
        model=weights.sha256[1],
    )
    enroll(voice)
    return voice
