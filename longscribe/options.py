"""The options of one run: their names, limits and defaults, in one place.

The command line, the flow's parameters and the tests all build `RunOptions`, so a bad value gets
the same sentence wherever it comes from.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from longscribe.errors import OptionError
from longscribe.languages import language_code
from longscribe.wording.catalog import translatable, translated

# fmt: off
Format = Literal[
    "txt", "srt", "vtt", "tsv", "json", "html", "report",
    "words", "ass", "lrc", "md", "docx", "report-png",
]
# fmt: on
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_FORMATS: tuple[Format, ...] = ("txt", "srt", "vtt", "tsv", "json", "html", "report")

PageAudio = Literal["auto", "link", "copy", "embed"]

Task = Literal["transcribe", "translate"]
Decoding = Literal["batched", "sequential"]
Precision = Literal["auto", "float32", "int8", "float16", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]

VoiceActivity = Literal["model", "level", "off"]

Auto = Literal["auto"]
UiLanguage = Literal["auto", "en", "pt_BR"]

_SHORTEST_LINE_CHARS = 10

_BYTES_PER_UNIT = {
    "": 10**9,  # a bare number means GB, the unit machines are sold in
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "M": 10**6,
    "G": 10**9,
}


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def parse_bytes(text: str) -> int:
    """Bytes in a size such as `13GB`, `800 MiB` or `2.5` (GB).

    Raises:
        ValueError: the text is no size, or not above zero.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = match.group(2).upper() if match else ""
    if match is None or unit not in _BYTES_PER_UNIT:
        raise ValueError(
            translated("{text!r} is no size; write it like 4GB or 800MiB").format(text=text)
        )
    size_bytes = int(float(match.group(1)) * _BYTES_PER_UNIT[unit])
    if size_bytes <= 0:
        raise ValueError(translated("the size must be above zero; write it like 4GB"))
    return size_bytes


class DecodingOptions(BaseModel):
    """What reaches the decoder of every chunk; the names and defaults are openai-whisper's.

    Two defaults differ from `whisper.transcribe`: `condition_on_previous_text` is off, because a
    loop in one window then cannot feed the next (the most frequent complaint about long audio,
    https://github.com/openai/whisper/discussions/679), and `initial_prompt` is carried to every
    window, because a chunk starts every few minutes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoding: Decoding = "batched"
    precision: Precision = "auto"
    device: Device = "auto"
    language: str = "auto"
    task: Task = "transcribe"
    initial_prompt: str = ""
    temperature: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    temperature_increment_on_fallback: Annotated[float, Field(gt=0.0, le=1.0)] | None = 0.2
    best_of: Annotated[int, Field(ge=1, le=20)] = 5
    beam_size: Annotated[int, Field(ge=1, le=20)] | None = None
    patience: Annotated[float, Field(gt=0.0, le=10.0)] | None = None
    length_penalty: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    suppress_tokens: str = "-1"
    condition_on_previous_text: bool = False
    word_timestamps: bool = False
    compression_ratio_threshold: float = 2.4
    logprob_threshold: float = -1.0
    no_speech_threshold: Annotated[float, Field(ge=0.0, le=1.0)] = 0.6

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        if value.strip().lower() in ("auto", ""):
            return "auto"
        code = language_code(value)
        if code is None:
            raise ValueError(
                translated(
                    "{value!r} is not a language Whisper knows; give a code like en or pt, or auto"
                ).format(value=value)
            )
        return code

    @field_validator("suppress_tokens")
    @classmethod
    def _token_ids(cls, value: str) -> str:
        if value and not re.fullmatch(r"\s*-?\d+(\s*,\s*-?\d+)*\s*", value):
            raise ValueError(
                translated("{value!r} is no list of token ids; write it like -1 or 50,60").format(
                    value=value
                )
            )
        return value

    @model_validator(mode="after")
    def _patience_needs_beams(self) -> "DecodingOptions":
        if self.patience is not None and self.beam_size is None:
            raise ValueError(translated("patience needs beam_size as well"))
        return self

    @model_validator(mode="after")
    def _sequential_only(self) -> "DecodingOptions":
        if self.decoding == "batched" and self.condition_on_previous_text:
            raise ValueError(
                translated(
                    "condition_on_previous_text needs --decoding sequential, as windows of a batch "
                    "are decoded at once; give --initial-prompt for style and vocabulary instead"
                )
            )
        if self.decoding == "sequential" and self.precision in ("int8", "bfloat16"):
            raise ValueError(
                translated(
                    "--precision {precision} needs --decoding batched; use auto with sequential"
                ).format(precision=self.precision)
            )
        return self

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures tried in turn, as `whisper.transcribe.cli` builds them."""
        step = self.temperature_increment_on_fallback
        if step is None:
            return (self.temperature,)
        count = int((1.0 + 1e-6 - self.temperature) / step) + 1
        return tuple(round(self.temperature + i * step, 6) for i in range(count))


class SubtitleRules(BaseModel):
    """How text is laid out as subtitles; the defaults are those of common style guides.

    Attributes:
        max_line_chars: a full-width character counts as two; 0 turns all rules off: one cue a
            segment and one line a cue, as openai-whisper writes them.
        max_lines: lines shown at once.
        max_chars_per_s: reading speed; a cue stays that long where nothing else is said; 0 for any.
        min_gap_s: between one cue and the next, so that the eye sees the change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_line_chars: Annotated[int, Field(ge=0, le=500)] = 42
    max_lines: Annotated[int, Field(ge=1, le=10)] = 2
    max_chars_per_s: Annotated[float, Field(ge=0.0, le=100.0)] = 20.0
    min_gap_s: Annotated[float, Field(ge=0.0, le=5.0)] = 0.08

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


class RunOptions(DecodingOptions, SubtitleRules):
    """All options of one recording's run, checked; the flow's parameters carry the same names."""

    recording: str
    model: Annotated[str, Field(min_length=1)] = "turbo"
    model_dir: str = ""
    vad: VoiceActivity = "model"
    audio_track: Auto | Annotated[int, Field(ge=1, le=1000)] = "auto"
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.2
    chunk_minutes: Annotated[float, Field(ge=0.5, le=120.0)] = 10.0
    workers: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    threads_per_worker: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    memory_per_worker: str = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    output_dir: str = "transcripts"
    formats: tuple[Format, ...] = DEFAULT_FORMATS
    page_audio: PageAudio = "auto"
    glossary: tuple[str, ...] = ()
    fresh: bool = False
    chunk_timeout_minutes: Auto | Annotated[float, Field(gt=0.0)] = "auto"
    keep_days: Annotated[float, Field(ge=0.0)] = 30.0
    keep_size: str = "5GB"
    ui_language: UiLanguage = "auto"

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
        names = value.split(",") if isinstance(value, str) else list(value)
        names = [str(name).strip().lower() for name in names if str(name).strip()]
        if "all" in names:  # openai-whisper's word for every format
            return FORMATS
        unknown = [name for name in names if name not in FORMATS]
        if unknown:
            raise ValueError(
                translated("{name!r} is unknown; choose from {formats} or all").format(
                    name=unknown[0], formats=", ".join(FORMATS)
                )
            )
        if not names:
            raise ValueError(
                translated("name at least one of {formats}").format(formats=", ".join(FORMATS))
            )
        return tuple(dict.fromkeys(names))

    @property
    def memory_per_worker_bytes(self) -> int | None:
        """The memory asked for one worker, in bytes; None for auto."""
        return None if self.memory_per_worker == "auto" else parse_bytes(self.memory_per_worker)

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
    def for_chunks(self) -> DecodingOptions:
        """The part of the options that the decoder of a chunk needs."""
        return DecodingOptions(
            **{name: getattr(self, name) for name in DecodingOptions.model_fields}
        )

    @property
    def for_subtitles(self) -> SubtitleRules:
        """The part of the options that lays out subtitles."""
        return SubtitleRules(**{name: getattr(self, name) for name in SubtitleRules.model_fields})


def check_options(**values: Any) -> RunOptions:
    """Build `RunOptions`, or raise one sentence that names the first bad option.

    Raises:
        OptionError: a value is out of range or not of its kind.
    """
    try:
        return RunOptions(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = [part for part in first["loc"] if isinstance(part, str)]
        option = "--" + place[0].replace("_", "-") if place else translated("the options")
        message = _told(first)
        message = message[:1].lower() + message[1:]
        if message.startswith("--"):
            raise OptionError(f"{message}.") from None
        given = first.get("input")
        is_number = isinstance(given, (int, float))
        shown = translated(" (it is {given!r})").format(given=given) if is_number else ""
        raise OptionError(f"{option}: {message}{shown}.") from None


# What pydantic finds wrong, by its type: its own words, for the catalogs.
_SAID_BY_PYDANTIC = {
    "greater_than": translatable("Input should be greater than {gt}"),
    "greater_than_equal": translatable("Input should be greater than or equal to {ge}"),
    "less_than_equal": translatable("Input should be less than or equal to {le}"),
    "literal_error": translatable("Input should be {expected}"),
    "int_parsing": translatable(
        "Input should be a valid integer, unable to parse string as an integer"
    ),
    "float_parsing": translatable(
        "Input should be a valid number, unable to parse string as a number"
    ),
    "bool_parsing": translatable("Input should be a valid boolean, unable to interpret input"),
    "string_type": translatable("Input should be a valid string"),
    "string_too_short": translatable("String should have at least {min_length} character"),
}


def _told(error: ErrorDetails) -> str:
    """What pydantic says, in its own words where no catalog has others."""
    words = _SAID_BY_PYDANTIC.get(error["type"], "")
    if translated(words) == words:
        return error["msg"].removeprefix("Value error, ")
    values = dict(error.get("ctx", {}))
    if "expected" in values:  # such as "'cpu' or 'cuda'"
        values["expected"] = values["expected"].replace(" or ", translated(" or "))
    return translated(words).format(**values)
