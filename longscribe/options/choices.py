"""What options choose from, and the formats that are chosen."""

from typing import Any, Literal, get_args

from longscribe.wording.catalog import translated

# fmt: off
Format = Literal[
    "txt", "srt", "vtt", "tsv", "json", "html", "report",
    "words", "ass", "lrc", "md", "docx", "rttm", "report-png",
]
# fmt: on
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_FORMATS: tuple[Format, ...] = ("txt", "srt", "vtt", "tsv", "json", "html", "report")

SpeakerMarks = Literal["names", "dashes", "none"]

PageAudio = Literal["auto", "link", "copy", "embed"]

Task = Literal["transcribe", "translate"]
Decoding = Literal["batched", "sequential"]
Precision = Literal["auto", "float32", "int8", "float16", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]

VoiceActivity = Literal["model", "level", "off"]

Runner = Literal["processes", "dask"]

Auto = Literal["auto"]
UiLanguage = Literal["auto", "en", "pt_BR"]


def parse_formats(value: Any) -> tuple[str, ...]:
    """Formats, each once: of a text with commas, or of several texts; `all` stands for every one.

    Raises:
        ValueError: one is unknown, or there is none.
    """
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
