"""Who speaks, in this process."""

from collections.abc import Mapping
from typing import Any

from longscribe.audio.recording import AcceleratedAudio
from longscribe.audio.voice_activity import Spans
from longscribe.options import RunOptions
from longscribe.speakers.diarization import Diarization, talk
from longscribe.speakers.diarizer import Diarizer, find_diarizer
from longscribe.speakers.enrolled import Known, enrolled, recognized
from longscribe.speakers.weights import find_weights
from longscribe.speakers.words import with_speakers
from longscribe.transcript import Transcript


def needs_own_tempo(options: RunOptions) -> bool:
    """Whether the samples are kept at the recording's own tempo, beside those that are heard."""
    return options.hears_again or (options.voice_count is not None and options.tempo != 1.0)


def who_speaks(
    audio: AcceleratedAudio, sound: Spans, speech: Spans, options: RunOptions
) -> Diarization | None:
    """The people of a recording and their turns; None where nobody asked.

    Args:
        audio: its samples.
        sound: where there is any, in accelerated seconds.
        speech: likewise.
        options: of the run.

    Raises:
        ModelError: the networks cannot be had.
    """
    if options.voice_count is None:
        return None
    return hear(audio, sound, speech, find_diarizer(options))


def hear(
    audio: AcceleratedAudio, sound: Spans, speech: Spans, diarizer: Diarizer[Any]
) -> Diarization:
    """The people of a recording and their turns.

    Args:
        audio: its samples.
        sound: where there is any, in accelerated seconds.
        speech: likewise.
        diarizer: what hears them.
    """
    scale = audio.original_samples / max(1, audio.samples)
    spoken = talk(sound * scale, speech * scale)
    path = audio.own_tempo_path or audio.pcm_path
    parts = diarizer.parts(path, audio.original_samples, spoken)
    heard = [(part, diarizer.hear(part)) for part in parts]
    return diarizer.diarization(heard, audio.original_duration_s, spoken)


def told(transcript: Transcript, found: Diarization, options: RunOptions) -> Transcript:
    """The transcript with its speakers, those that are enrolled among them where that is asked."""
    known: Mapping[int, Known] = {}
    if options.known_voices:
        known = recognized(found.people, find_weights().sha256[1], enrolled())
    return with_speakers(transcript, found.turns, options.speaker_names, known)
