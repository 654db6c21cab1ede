"""All options of one run."""

import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, field_validator, model_validator

from longscribe.options.choices import (
    DEFAULT_FORMATS,
    Auto,
    Format,
    PageAudio,
    Runner,
    UiLanguage,
    VoiceActivity,
    parse_formats,
)
from longscribe.options.decoding import DecodingOptions
from longscribe.options.presentation import CommandLine, Docs
from longscribe.options.sizes import parse_bytes
from longscribe.options.speakers import SpeakerOptions
from longscribe.options.subtitles import SubtitleRules
from longscribe.wording.catalog import translatable, translated

_AUTOMATIC_TEMPO: Final = 1.2
_ADDRESS: Final = re.compile(r"(?:tcp|tls|ws|wss)://[^\s/@]+:[0-9]{1,5}")


class RunOptions(DecodingOptions, SubtitleRules, SpeakerOptions):
    """All options of one recording's run, checked; everything that shows options is made of it.

    `longscribe.options.described` has the order in which they are shown.
    """

    recording: Annotated[
        str,
        Field(
            description="Path or URL of the recording, audio or video, anything FFmpeg reads: a "
            "path in the media roots, or http://, https://, s3://, gs://, az://, sftp://."
        ),
        CommandLine(metavar="RECORDING..."),
        Docs(
            text="what is transcribed; the command takes several, a run of the flow one "
            "([kinds of URL](index.md#recordings-in))",
            values="path or URL",
        ),
    ]
    model: Annotated[
        str,
        Field(
            min_length=1,
            description="tiny, base, small, medium, large-v3, turbo, their .en versions, demo, or "
            "a checkpoint's path.",
        ),
        CommandLine(names=("-m",), help=translatable("Name, path or hub repository.  [turbo]")),
        Docs(
            text="a Whisper name, a path, or a repository of the Hugging Face hub "
            "([which models](models.md))"
        ),
    ] = "turbo"
    model_dir: Annotated[
        str,
        Field(
            description="Folder where downloaded weights are kept; empty is openai-whisper's own."
        ),
        CommandLine(metavar="DIR", help=translatable("Where downloaded weights are kept.")),
        Docs(values="folder", default="`~/.cache/whisper`"),
    ] = ""
    vad: Annotated[
        VoiceActivity,
        Field(
            description="Voice activity detection: what is heard. `model` hears speech and leaves "
            "out music and noise (silero-vad), `level` hears every sound, `off` everything."
        ),
    ] = "model"
    audio_track: Annotated[
        Auto | Annotated[int, Field(ge=1, le=1000)],
        Field(
            description="Which of several audio tracks is heard, counted from 1; `auto` takes the "
            "one a player would, or the next where nothing is in that one."
        ),
        CommandLine(help=translatable("Of several, from 1.  [auto]")),
    ] = "auto"
    speed: Annotated[
        Auto | Annotated[float, Field(ge=0.5, le=2.0)],
        Field(
            description="Tempo before recognition, pitch kept; 1.0 leaves the sound untouched. "
            "`auto` is 1.2, and what the model is unsure of is heard again at 1.0."
        ),
        CommandLine(names=("-s",), help=translatable("Tempo before recognition, 0.5-2.0.  [auto]")),
        Docs(
            text="tempo before recognition, pitch kept; 1.0 leaves the sound untouched. `auto` is "
            "1.2, and what the model is unsure of is heard again at 1.0 "
            "([how](architecture.md#tempo))"
        ),
    ] = "auto"
    chunk_minutes: Annotated[
        float,
        Field(
            ge=0.5,
            le=120.0,
            description="About how long a chunk is, in minutes of accelerated audio; the last ones "
            "are shorter where workers would sit idle.",
        ),
        CommandLine(help=translatable("Length of a chunk.  [10]")),
        Docs(unit="minutes"),
    ] = 10.0
    workers: Annotated[
        Auto | Annotated[int, Field(ge=1, le=256)],
        Field(description="Worker processes; `auto` takes what cores and memory allow."),
        CommandLine(names=("-w",), help=translatable("Worker processes.  [auto]")),
    ] = "auto"
    threads_per_worker: Annotated[
        Auto | Annotated[int, Field(ge=1, le=256)],
        Field(
            description="Threads of each worker, never more in all than cores; `auto` shares those "
            "out."
        ),
        CommandLine(names=("--threads",), help=translatable("Threads of each.  [auto]")),
    ] = "auto"
    memory_per_worker: Annotated[
        str,
        Field(
            description="Memory of each worker, such as 4GB; `auto` is the model's measured need."
        ),
        CommandLine(metavar="SIZE", help=translatable("Such as 4GB.  [auto]")),
        Docs(values="[size](#sizes), or `auto`"),
    ] = "auto"
    batch_size: Annotated[
        Auto | Annotated[int, Field(ge=1, le=256)],
        Field(
            description="Windows of 30 s decoded side by side in a worker; `auto` goes by the "
            "model's size and the number of workers."
        ),
        CommandLine(help=translatable("Windows decoded at once.  [auto]")),
    ] = "auto"
    runner: Annotated[
        Runner,
        Field(
            description="Where chunks are transcribed: `processes` of this machine, or the workers "
            "of a `dask` cluster."
        ),
        Docs(
            text="where chunks are transcribed: `processes` of this machine, or the workers of a "
            "`dask` cluster ([how](scaling.md#one-huge-recording))"
        ),
    ] = "processes"
    address: Annotated[
        str,
        Field(
            description="Of the scheduler of the Dask cluster, such as tcp://10.0.0.1:8786.",
        ),
        Docs(values="`tcp://HOST:PORT`, `tls://HOST:PORT`", default="none"),
    ] = ""
    output_dir: Annotated[
        str,
        Field(
            description="Folder for the transcript's own folder, or the URL of one: s3://, gs://, "
            "az://, sftp://."
        ),
        CommandLine(
            names=("-o",),
            metavar="DIR",
            help=translatable("Folder or URL to write to.  [transcripts]"),
        ),
        Docs(
            text="each recording gets a folder in it; a service sets it to its own folder",
            values="folder or URL",
        ),
    ] = "transcripts"
    formats: Annotated[
        tuple[Format, ...],
        Field(
            description="Files to write; `html` is a page to read and listen to, `words` is JSON "
            "of words."
        ),
        CommandLine(
            names=("-f", "--output-format"),  # openai-whisper's name
            metavar="LIST",
            help=translatable(
                "[txt,srt,vtt,tsv,json,html,report]; also words,ass,lrc,md,docx,rttm,report-png; "
                "all."
            ),
        ),
        Docs(
            text="[files to write](outputs.md); on the command line separated by commas, or `all`"
        ),
    ] = DEFAULT_FORMATS
    page_audio: Annotated[
        PageAudio,
        Runner,
        Field(
            description="The page's sound; `auto` links to a recording that browsers play and "
            "copies others, `embed` puts a copy into the page."
        ),
        CommandLine(metavar="MODE", help=translatable("Sound of html: link, copy, embed.")),
        Docs(text="what the page plays ([details](outputs.md#where-the-pages-sound-comes-from))"),
    ] = "auto"
    glossary: Annotated[
        tuple[str, ...],
        Field(
            description="Your own spellings, `heard => wanted` pairs, or paths of text files with "
            "them."
        ),
        CommandLine(
            names=("-g",),
            metavar="ENTRY|FILE",
            help=translatable("Word, heard => wanted, a file of them."),
        ),
        Docs(
            text="your spellings, repeatable on the command line: `Longscribe`, "
            "`pre fact => Prefect`, or a text file with one a line"
        ),
    ] = ()
    fresh: Annotated[
        bool,
        Field(description="Do every chunk, also those whose results are kept from an earlier run."),
        CommandLine(is_flag=True, help=translatable("Do also what earlier runs finished.")),
    ] = False
    chunk_timeout_minutes: Annotated[
        Auto | Annotated[float, Field(gt=0.0)],
        Field(
            description="A chunk that takes longer, time in which others have the cores left out, "
            "runs again; `auto`: twenty times what the slowest so far took for as much sound, and "
            "at least ten minutes. One that shows no progress runs again within two minutes."
        ),
        Docs(unit="minutes"),
    ] = "auto"
    keep_days: Annotated[
        float,
        Field(ge=0.0, description="Results of chunks that were not used for longer are removed."),
        Docs(unit="days"),
    ] = 30.0
    keep_size: Annotated[
        str,
        Field(
            description="Beyond this size, results of chunks that were used longest ago are "
            "removed."
        ),
        Docs(values="[size](#sizes)"),
    ] = "5GB"
    ui_language: Annotated[
        UiLanguage,
        Field(
            description="Language of messages, artifacts and the page; `auto` goes by the worker's "
            "environment."
        ),
        CommandLine(help=translatable("Of messages, help, page.  [auto]")),
        Docs(
            text="language of messages, help, page and artifacts; `auto` goes by "
            "`LONGSCRIBE_UI_LANGUAGE`, else by the locale (`LC_ALL`, `LC_MESSAGES`, `LANG`), and "
            "is English where there is no catalog"
        ),
    ] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _utf8(cls, values: Any) -> Any:
        """Values go into a database and into files; what cannot is told by its option's name."""
        for name, value in values.items() if isinstance(values, dict) else ():
            if name == "recording" or not isinstance(value, (str, tuple, list)):
                continue
            for text in (value,) if isinstance(value, str) else value:
                if isinstance(text, str) and not text.isascii() and _has_surrogates(text):
                    sentence = translated("--{option}: {text!r} is not UTF-8")
                    raise ValueError(sentence.format(option=name.replace("_", "-"), text=text))
        return values

    @field_validator("recording")
    @classmethod
    def _recording_named(cls, value: str) -> str:
        if not value or "\0" in value:
            raise ValueError(translated("give the path of a recording"))
        return value

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not _ADDRESS.fullmatch(value):
            raise ValueError(
                translated(
                    "give the address that `dask scheduler` shows, such as tcp://10.0.0.1:8786"
                )
            )
        return value

    @field_validator("memory_per_worker", mode="before")
    @classmethod
    def _memory(cls, value: object) -> str:
        text = str(value)
        if text.strip().lower() == "auto":
            return "auto"
        parse_bytes(text)
        return text

    @field_validator("keep_size", mode="before")
    @classmethod
    def _size(cls, value: object) -> str:
        parse_bytes(str(value))
        return str(value)

    @field_validator("formats", mode="before")
    @classmethod
    def _formats(cls, value: Any) -> tuple[str, ...]:
        return parse_formats(value)

    @model_validator(mode="after")
    def _address_of_cluster(self) -> "RunOptions":
        if self.runner == "dask" and not self.address:
            raise ValueError(
                translated(
                    "--address: --runner dask needs the address of the Dask scheduler, such as "
                    "tcp://10.0.0.1:8786"
                )
            )
        if self.runner != "dask" and self.address:
            raise ValueError(translated("--address: it is for --runner dask"))
        return self

    @property
    def memory_per_worker_bytes(self) -> int | None:
        """The memory asked for one worker, in bytes; None for auto."""
        return None if self.memory_per_worker == "auto" else parse_bytes(self.memory_per_worker)

    @property
    def tempo(self) -> float:
        """The tempo that the recording is brought to."""
        return _AUTOMATIC_TEMPO if self.speed == "auto" else self.speed

    @property
    def hears_again(self) -> bool:
        """Whether the recording's own tempo is kept beside, for what the model is unsure of."""
        return self.speed == "auto" and self.decoding == "batched"

    @property
    def audio_track_number(self) -> int | None:
        """The track asked for, from 1; None for auto."""
        return None if self.audio_track == "auto" else self.audio_track

    @property
    def chunk_timeout_s(self) -> float | None:
        """How long a chunk may take, in seconds; None for auto."""
        minutes = self.chunk_timeout_minutes
        return None if minutes == "auto" else 60.0 * minutes

    @property
    def recording_path(self) -> Path:
        """The recording as a path."""
        return Path(self.recording)

    @property
    def recordings(self) -> tuple[str, ...]:
        """The recording and those that belong to it."""
        return (self.recording, *self.together)

    @property
    def for_chunks(self) -> DecodingOptions:
        """The part of the options that the decoder of a chunk needs."""
        values = {name: getattr(self, name) for name in DecodingOptions.model_fields}
        values["word_timestamps"] = self.word_timestamps or self.tells_speakers
        # How Chinese is written is nothing to the decoder: other chunks need not be done for it.
        return DecodingOptions(**values | {"language": ",".join(self.possible_languages) or "auto"})

    @property
    def for_subtitles(self) -> SubtitleRules:
        """The part of the options that lays out subtitles."""
        return SubtitleRules(**{name: getattr(self, name) for name in SubtitleRules.model_fields})


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
