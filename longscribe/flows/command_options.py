"""The options of the command, in the order in which its help has them."""

from collections.abc import Callable
from typing import Any, Final

import click

from longscribe.flows.option_types import COUNT, NUMBER, MinutesOrAuto, hidden, option
from longscribe.options import DEFAULT_FORMATS
from longscribe.wording.catalog import UI_LANGUAGES, translatable

_OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    option("-m", "--model", "model", help=translatable("Name, path or hub repository.  [turbo]")),
    option(
        "-l",
        "--language",
        "language",
        help=translatable("Spoken language; auto detects it.  [auto]"),
    ),
    option(
        "--task",
        "task",
        type=click.Choice(["transcribe", "translate"]),
        help=translatable("translate gives English.  [transcribe]"),
    ),
    option(
        "--decoding",
        "decoding",
        type=click.Choice(["batched", "sequential"]),
        help=translatable("sequential: openai-whisper's own.  [batched]"),
    ),
    option(
        "--precision",
        "precision",
        type=click.Choice(["auto", "float32", "int8", "float16", "bfloat16"]),
        help=translatable("int8, float32 on a CPU.  [auto]"),
    ),
    option("--device", "device", type=click.Choice(["auto", "cpu", "cuda"]), help="[auto]"),
    option(
        "-s",
        "--speed",
        "speed",
        type=float,
        help=translatable("Tempo before recognition, 0.5-2.0.  [1.2]"),
    ),
    option(
        "--chunk-minutes",
        "chunk_minutes",
        type=float,
        help=translatable("Length of a chunk.  [10]"),
    ),
    option(
        "-w", "--workers", "workers", type=COUNT, help=translatable("Worker processes.  [auto]")
    ),
    option(
        "--threads-per-worker",
        "--threads",
        "threads_per_worker",
        type=COUNT,
        help=translatable("Threads of each.  [auto]"),
    ),
    option(
        "--memory-per-worker",
        "memory_per_worker",
        metavar="SIZE",
        help=translatable("Such as 4GB.  [auto]"),
    ),
    option(
        "--batch-size",
        "batch_size",
        type=COUNT,
        help=translatable("Windows decoded at once.  [auto]"),
    ),
    option(
        "-o",
        "--output-dir",
        "output_dir",
        metavar="DIR",
        help=translatable("Folder or URL to write to.  [transcripts]"),
    ),
    click.option(
        "-f",
        "--formats",
        "--output-format",
        "formats",
        metavar="LIST",
        default=",".join(DEFAULT_FORMATS),
        help=translatable(
            "[txt,srt,vtt,tsv,json,html,report]; also words,ass,lrc,md,docx,report-png; all."
        ),
    ),
    option(
        "--page-audio",
        "page_audio",
        metavar="MODE",
        help=translatable("Sound of html: link, copy, embed."),
    ),
    option(
        "--max-line-chars",
        "--max-line-width",  # openai-whisper's name
        "max_line_chars",
        type=int,
        hidden=True,
    ),
    click.option(
        "-g",
        "--glossary",
        "glossary",
        multiple=True,
        metavar="ENTRY|FILE",
        help=translatable("Word, heard => wanted, a file of them."),
    ),
    option(
        "--initial-prompt",
        "initial_prompt",
        help=translatable("Sets style and vocabulary of all windows."),
    ),
    option(
        "--model-dir",
        "model_dir",
        metavar="DIR",
        help=translatable("Where downloaded weights are kept."),
    ),
    option(
        "--audio-track",
        "audio_track",
        type=COUNT,
        help=translatable("Of several, from 1.  [auto]"),
    ),
    option(
        "--fresh", "fresh", is_flag=True, help=translatable("Do also what earlier runs finished.")
    ),
    option(
        "--chunk-timeout-minutes",
        "chunk_timeout_minutes",
        type=MinutesOrAuto(),
        metavar="N",
        help=translatable("After which a chunk is stuck.  [auto]"),
    ),
    option(
        "--ui-language",
        "ui_language",
        type=click.Choice(["auto", *UI_LANGUAGES], case_sensitive=False),
        metavar=f"[auto|{'|'.join(UI_LANGUAGES)}]",
        help=translatable("Of messages, help, page.  [auto]"),
    ),
    click.option(
        "--print/--no-print", "-p", "show", help=translatable("Print the transcript at the end.")
    ),
    hidden("vad", click.Choice(["model", "level", "off"])),
    hidden("keep_days", float),
    hidden("keep_size", str),
    option("--max-lines", "--max-line-count", "max_lines", type=int, hidden=True),
    hidden("max_chars_per_s", float),
    hidden("min_gap_s", float),
    hidden("temperature", float),
    hidden("temperature_increment_on_fallback", NUMBER),
    hidden("best_of", int),
    hidden("beam_size", int),
    hidden("patience", float),
    hidden("length_penalty", float),
    hidden("suppress_tokens", str),
    hidden("condition_on_previous_text", bool),
    hidden("word_timestamps", bool),
    hidden("compression_ratio_threshold", float),
    hidden("logprob_threshold", float),
    hidden("no_speech_threshold", float),
    click.option("--verbose", type=bool, default=False, hidden=True),  # upstream's --print
    click.option("--fp16", type=bool, hidden=True),  # --precision says it; upstream's own default
)


def all_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command's function all options."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function
