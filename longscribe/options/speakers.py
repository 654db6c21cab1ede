"""The options that say who speaks."""

import re
from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from longscribe.options.presentation import CommandLine, Docs
from longscribe.wording.catalog import translatable, translated

MOST_VOICES: Final = 20
BUILT_IN: Final = "built-in"
COMMUNITY: Final = "community-1"


class VoiceCount(NamedTuple):
    """How many people there may be."""

    least: int
    most: int


class SpeakerOptions(BaseModel):
    """Who says what: by the channel it is on, or by the voice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speakers: Annotated[
        str,
        Field(
            description="Who speaks: `channels` gives each channel its speaker, `auto` tells "
            "voices apart, a number or a range such as `2-5` says how many there are; `off` does "
            "not ask."
        ),
        CommandLine(metavar="HOW", help=translatable("Who speaks: channels, auto, 3, 2-5.  [off]")),
        Docs(
            text="who speaks: `channels` gives each channel its speaker, `auto` tells voices "
            "apart, a number or a range such as `2-5` says how many there are; `off` does not ask "
            "([how](speakers.md))",
            values=f"`off`, `channels`, `auto`, 1 to {MOST_VOICES}, or a range",
        ),
    ] = "off"
    speaker_names: Annotated[
        tuple[str, ...],
        Field(
            description="Names of the channels in their order, or of the voices in the order in "
            "which they are first heard, separated by commas."
        ),
        CommandLine(metavar="NAMES", help=translatable("Names in their order: Host,Guest.")),
        Docs(values="names, with commas"),
    ] = ()
    together: Annotated[
        tuple[str, ...],
        Field(
            description="Further recordings of the same conversation, as paths or URLs: each is "
            "one speaker's, and all begin at the same moment."
        ),
        CommandLine(is_of_recordings=True),
        Docs(
            text="further recordings of the same conversation: each is one speaker's, and all "
            "begin at the same moment ([how](speakers.md#channels)); on the command line without "
            "a value: all that are named become one transcript",
            values="list of paths or URLs",
        ),
    ] = ()
    known_voices: Annotated[
        bool,
        Field(
            description="Name the voices that `longscribe voices add` enrolled on this machine, "
            "where sure."
        ),
        CommandLine(is_flag=True, help=translatable("Name voices that were enrolled.")),
        Docs(
            text="name the voices that `longscribe voices add` enrolled on this machine, where "
            "sure ([what the law may want](speakers.md#enrolled-voices))"
        ),
    ] = False

    diarization_model: Annotated[
        str,
        Field(
            description="Which networks tell voices apart: `built-in`, pyannote's `community-1`, "
            "which needs a token of the Hugging Face hub, or the folder of a copy of that."
        ),
        CommandLine(metavar="NAME|DIR"),  # in the docs: the help is as long as a screen
        Docs(
            text="which networks tell voices apart: `built-in`, pyannote's `community-1`, which "
            "needs a token of the Hugging Face hub, or the folder of a copy of that "
            "([how](speakers.md#community-1))",
            values=f"`{BUILT_IN}`, `{COMMUNITY}`, or a folder such as `./community-1`",
        ),
    ] = BUILT_IN

    @field_validator("speakers", mode="before")
    @classmethod
    def _way(cls, value: object) -> str:
        text = "".join(str(value).split()).lower()
        if text in ("off", "channels", "auto"):
            return text
        number = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
        if number is None:
            sentence = translated(
                "{value!r} is no way to tell speakers; give off, channels, auto, a number such as "
                "3, or a range such as 2-5"
            )
            raise ValueError(sentence.format(value=value))
        least, most = (int(part) for part in (number[1], number[2] or number[1]))
        if not 1 <= least <= most <= MOST_VOICES:
            sentence = translated("{value}: from 1 to {most} voices can be told apart")
            raise ValueError(sentence.format(value=text, most=MOST_VOICES))
        return str(least) if least == most else f"{least}-{most}"

    @field_validator("speaker_names", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        given = (value,) if isinstance(value, str) else value
        if not isinstance(given, Iterable):
            return given
        parts = [
            part for one in given for part in (one.split(",") if isinstance(one, str) else [one])
        ]
        names = [part.strip() if isinstance(part, str) else part for part in parts]
        names = [name for name in names if name != ""]
        twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
        if twice is not None:
            raise ValueError(translated("{name!r} is there twice").format(name=twice))
        return names

    @field_validator("together")
    @classmethod
    def _all_named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not place or "\0" in place for place in value):
            raise ValueError(translated("give the path of a recording"))
        return value

    @field_validator("diarization_model")
    @classmethod
    def _networks(cls, value: str) -> str:
        # A folder has a slash or begins with a dot: a name with a slip in it is none.
        is_folder = "/" in value or value.startswith((".", "~"))
        if value not in (BUILT_IN, COMMUNITY) and (not is_folder or "\0" in value):
            sentence = translated(
                "there are no networks {value!r}; give built-in, community-1, or the folder of a "
                "copy of that, such as ./community-1"
            )
            raise ValueError(sentence.format(value=value))
        return value

    @model_validator(mode="after")
    def _networks_of_voices(self) -> Self:
        if self.diarization_model == BUILT_IN:
            return self
        if self.voice_count is None:
            raise ValueError(
                translated("--diarization-model: it is for --speakers auto, a number or a range")
            )
        if self.known_voices:
            raise ValueError(
                translated(
                    "--known-voices: voices are enrolled by the built-in networks; leave it out, "
                    "or give --diarization-model built-in"
                )
            )
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.together and self.voice_count is not None:
            raise ValueError(
                translated(
                    "--speakers: of several files together each is one speaker's; leave it out, "
                    "or give channels"
                )
            )
        return self

    @property
    def by_channel(self) -> bool:
        """Whether each channel is heard by itself."""
        return self.speakers == "channels"

    @property
    def tells_speakers(self) -> bool:
        """Whether the transcript is to say who speaks; the times of words are found then."""
        return self.speakers != "off" or bool(self.together)

    @property
    def voice_count(self) -> VoiceCount | None:
        """How many voices are to be told apart; None where none are."""
        if self.speakers in ("off", "channels"):
            return None
        if self.speakers == "auto":
            return VoiceCount(1, MOST_VOICES)
        least, _, most = self.speakers.partition("-")
        return VoiceCount(int(least), int(most or least))
