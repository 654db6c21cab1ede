"""The options of one run: names, limits, defaults and texts, declared once.

The command line, the flow's parameters and so the form, the API and the table in docs/options.md
are made of `RunOptions`. All build it too, so a bad value gets the same sentence wherever it comes
from.
"""

from longscribe.options.checking import check_options
from longscribe.options.choices import (
    DEFAULT_FORMATS,
    FORMATS,
    Auto,
    Decoding,
    Device,
    Format,
    PageAudio,
    Precision,
    Runner,
    SpeakerMarks,
    Task,
    UiLanguage,
    VoiceActivity,
)
from longscribe.options.decoding import DecodingOptions
from longscribe.options.described import OPTIONS, Option
from longscribe.options.presentation import CommandLine, Docs
from longscribe.options.run import RunOptions
from longscribe.options.sizes import parse_bytes
from longscribe.options.subtitles import SubtitleRules

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "OPTIONS",
    "Auto",
    "CommandLine",
    "Decoding",
    "DecodingOptions",
    "Device",
    "Docs",
    "Format",
    "Option",
    "PageAudio",
    "Precision",
    "RunOptions",
    "Runner",
    "SpeakerMarks",
    "SubtitleRules",
    "Task",
    "UiLanguage",
    "VoiceActivity",
    "check_options",
    "parse_bytes",
]
