"""Changes to a transcript: corrected sentences and names of speakers, each saved as a version."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session as Db

from longscribe.transcript import Segment, Transcript
from longscribe.web.callers import Caller
from longscribe.web.library.search import put_into_index
from longscribe.web.problems import Problem
from longscribe.web.recordings import (
    current_transcript,
    latest_version,
    save_version,
    transcript_of_text,
    versions_of,
)
from longscribe.web.tables import Recording, Version
from longscribe.web.transcripts import read_transcript, transcript_file
from longscribe.wording.catalog import translated

_LONGEST_TEXT: Final = 10_000
_LONGEST_NAME: Final = 100

Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]
Name = Annotated[str, Field(max_length=_LONGEST_NAME)]


class Edits(BaseModel):
    """What the page sends.

    Attributes:
        based_on: number of the version that was changed; 0 for the run's own.
        texts: sentences by their place in it; an empty one is left out.
        speakers: new names by the old.
    """

    model_config = ConfigDict(extra="forbid")

    based_on: int = Field(ge=0)
    texts: dict[int, Text] = Field(default_factory=dict)
    speakers: dict[Name, Name] = Field(default_factory=dict)


def edited(transcript: Transcript, edits: Edits) -> Transcript:
    """The transcript as it is with the edits; a changed sentence has no times of words any more.

    Raises:
        Problem: 400, a sentence that there is not.
    """
    if any(not 0 <= index < len(transcript.segments) for index in edits.texts):
        sentence = translated("There is no such sentence; load the page again.")
        raise Problem(400, sentence, field="texts", code="invalid_value")
    segments: list[Segment] = []
    for index, segment in enumerate(transcript.segments):
        if index in edits.texts:
            said = " ".join(edits.texts[index].split())
            if not said:
                continue
            space = " " if segment.text[:1].isspace() else ""
            segment = replace(segment, text=space + said, words=None, tokens=())
        segments.append(segment)
    names = {old: " ".join(new.split()) for old, new in edits.speakers.items()}
    names = {old: new for old, new in names.items() if new and new != old}
    changed = transcript.model_copy(update={"segments": tuple(segments)})
    return renamed(changed, names) if names else changed


def speakers_of(transcript: Transcript) -> list[str]:
    """The names of who speaks, in the order of their first words."""
    names = (segment.speaker for segment in transcript.segments)
    return list(dict.fromkeys(name for name in names if name))


def renamed(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """The transcript with other names for its speakers, wherever they stand."""

    def of(speaker: str | None) -> str | None:
        return None if speaker is None else names.get(speaker, speaker)

    segments = tuple(
        replace(
            segment,
            speaker=of(segment.speaker),
            words=segment.words
            and tuple(replace(word, speaker=of(word.speaker)) for word in segment.words),
        )
        for segment in transcript.segments
    )
    turns = tuple(
        replace(turn, speaker=names.get(turn.speaker, turn.speaker)) for turn in transcript.turns
    )
    return transcript.model_copy(update={"segments": segments, "turns": turns})


def save_edits(db: Db, caller: Caller, recording: Recording, edits: Edits) -> Version:
    """Keep edits as a new version, which can be searched at once.

    Raises:
        Problem: 409, somebody saved another since, or there is no transcript; 400.
    """
    changed = edited(current_transcript(db, recording), edits)
    return _save(db, caller, recording, changed, edits.based_on)


def restore(db: Db, caller: Caller, recording: Recording, number: int) -> Version:
    """Make an older version the latest again, as a new one; 0 is the run's own.

    Raises:
        Problem: 404, there is no such version.
    """
    if number == 0:
        try:
            transcript = read_transcript(transcript_file(recording))
        except (OSError, ValueError):
            raise Problem(410, translated("The transcript's file is gone."), code="gone") from None
    else:
        found = next((v for v in versions_of(db, recording.id) if v.number == number), None)
        if found is None:
            raise Problem(404, translated("There is no such version."), code="not_found")
        transcript = transcript_of_text(found.transcript)
    latest = latest_version(db, recording.id)
    return _save(db, caller, recording, transcript, latest.number if latest is not None else 0)


def _save(
    db: Db, caller: Caller, recording: Recording, transcript: Transcript, based_on: int
) -> Version:
    version = save_version(db, recording, caller.user, transcript, based_on)
    put_into_index(db, recording, transcript, version.number)
    return version
