"""The options that lay out subtitles."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from longscribe.options.choices import SpeakerMarks
from longscribe.options.presentation import CommandLine, Docs
from longscribe.wording.catalog import translated

_SHORTEST_LINE_CHARS = 10


class SubtitleRules(BaseModel):
    """How text is laid out as subtitles; the defaults are those of common style guides.

    Attributes:
        max_line_chars: a full-width character counts as two; 0 turns all rules off: one cue a
            segment and one line a cue, as openai-whisper writes them.
        max_lines: lines shown at once.
        max_chars_per_s: reading speed; a cue stays that long where nothing else is said; 0 for any.
        min_gap_s: between one cue and the next, so that the eye sees the change.
        speaker_marks: how subtitles say who speaks, where that is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_line_chars: Annotated[
        int,
        Field(
            ge=0,
            le=500,
            description="Characters in a line of subtitles; 0 for one cue a segment without any "
            "rules, as openai-whisper writes them.",
        ),
        CommandLine(names=("--max-line-width",)),  # openai-whisper's name
        Docs(values=f"0, or {_SHORTEST_LINE_CHARS} to 500"),
    ] = 42
    max_lines: Annotated[
        int,
        Field(ge=1, le=10, description="Lines of subtitles shown at once."),
        CommandLine(names=("--max-line-count",)),
    ] = 2
    max_chars_per_s: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            description="Reading speed; a cue stays longer where nothing else is said; 0 for any.",
        ),
    ] = 20.0
    min_gap_s: Annotated[
        float,
        Field(ge=0.0, le=5.0, description="Time between one cue and the next."),
        Docs(unit="seconds"),
    ] = 0.08
    speaker_marks: Annotated[
        SpeakerMarks,
        Field(
            description="How subtitles say who speaks, where that is known: `names` before the "
            "first words of a turn, `dashes` there, or `none`."
        ),
        Docs(
            text="how subtitles say who speaks, where [that is known](speakers.md): `names` before "
            "the first words of a turn, `dashes` there, or `none`"
        ),
    ] = "names"

    @field_validator("max_line_chars")
    @classmethod
    def _line_of_words(cls, value: int) -> int:
        if 0 < value < _SHORTEST_LINE_CHARS:
            raise ValueError(
                translated(
                    "lines need at least {shortest} characters; 0 turns the rules off"
                ).format(shortest=_SHORTEST_LINE_CHARS)
            )
        return value
