"""`longscribe tune`: time against words on somebody's own recording, and what to use there."""

import io
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from longscribe.api.settings import COMPARED, checked_values
from longscribe.api.tuner import (
    DEFAULT_BEAM_SIZES,
    DEFAULT_PRECISIONS,
    DEFAULT_ROUNDS,
    DEFAULT_SAMPLE_MINUTES,
    DEFAULT_SPEEDS,
    DEFAULT_WITHIN_POINTS,
    Measured,
    Tuner,
)
from longscribe.api.tuning import Tuning
from longscribe.cache.atomic_file import replace_file
from longscribe.errors import OptionError, OutputError
from longscribe.flows.command_options import click_option
from longscribe.flows.output import say
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.options import OPTIONS, RunOptions, check_options
from longscribe.outputs.formats import check_writable, output_name
from longscribe.storage.access import Access
from longscribe.storage.uris import is_url, name_of
from longscribe.transcript import format_time
from longscribe.wording.catalog import translatable, translated
from longscribe.wording.system_errors import told

_STOPPED: Final = 130
# Options that all settings have, as a run has them.
_CARRIED: Final = (
    *("language", "device", "vad", "audio_track", "glossary", "initial_prompt"),
    *("model_dir", "batch_size", "output_dir", "ui_language"),
)
_NOT_HEARD: Final = ("output_dir", "ui_language")  # what the Python API has no use for
_WIDEST: Final = 100
_UNSTEADY: Final = 0.25  # of a setting's time, between rounds
_OPTIONS: Final = {option.name: option for option in OPTIONS}


def _shared_options(function: Callable[..., int]) -> Callable[..., int]:
    for name in reversed(_CARRIED):
        function = click_option(_OPTIONS[name])(function)
    return function


def _listed(values: tuple[object, ...]) -> str:
    return ",".join("none" if value is None else str(value) for value in values)


@click.command(
    cls=TranslatedCommand,
    help=translatable(
        "Transcribe samples of a recording with several options, and say which are worth their "
        "time. Lists are separated by commas; every combination is tried."
    ),
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
        "max_content_width": 100,
    },
)
@click.argument("recording", metavar="RECORDING")
@click.option(
    "--reference",
    metavar="FILE",
    help=translatable("Text of what is said in the whole recording."),
)
@click.option(
    "--models",
    "-m",
    default=_OPTIONS["model"].default,
    show_default=True,
    metavar="LIST",
    help=translatable("Names, paths or hub repositories."),
)
@click.option(
    "--speeds",
    "-s",
    default=_listed(DEFAULT_SPEEDS),
    show_default=True,
    metavar="LIST",
    help=translatable("Tempos before recognition, 0.5-2.0 or auto."),
)
@click.option(
    "--precisions",
    default=_listed(DEFAULT_PRECISIONS),
    show_default=True,
    metavar="LIST",
    help=translatable("int8, float32 on a CPU."),
)
@click.option(
    "--beam-sizes",
    default=_listed(DEFAULT_BEAM_SIZES),
    show_default=True,
    metavar="LIST",
    help=translatable("Beams; none decodes greedily."),
)
@click.option(
    "--sample-minutes",
    type=float,
    default=DEFAULT_SAMPLE_MINUTES,
    show_default=True,
    help=translatable("Speech to transcribe, from several places."),
)
@click.option(
    "--within",
    "within_points",
    type=float,
    default=DEFAULT_WITHIN_POINTS,
    show_default=True,
    metavar="POINTS",
    help=translatable("The fastest that is so near to the best is recommended."),
)
@click.option(
    "--rounds",
    type=int,
    default=DEFAULT_ROUNDS,
    show_default=True,
    help=translatable("How often each is timed."),
)
@_shared_options
def tune_command(
    recording: str,
    reference: str | None,
    sample_minutes: float,
    within_points: float,
    rounds: int,
    **values: Any,
) -> int:
    """Compare settings on a recording; the exit code."""
    # As in the workers of a run (runtime/fork_server.py), before anything imports torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    lists = {name: values.pop(name) for name in COMPARED}
    options = _confined(check_options(recording=recording, **values))
    models = checked_values("models", lists["models"])
    confined = (_confined(options.model_copy(update={"model": model})) for model in models)
    lists["models"] = [one.model for one in confined]
    carried = {name: getattr(options, name) for name in _CARRIED if name not in _NOT_HEARD}
    folder = Path(options.output_dir).expanduser() / output_name(Path(name_of(recording)))
    check_writable(folder)
    tuner = Tuner(
        options.recording,
        lists,
        reference=None if reference is None else _text_of(reference),
        sample_minutes=sample_minutes,
        within_points=within_points,
        rounds=rounds,
        rate_hz=None,
        options=carried,
    )
    _say_samples(tuner)
    code = 0
    try:
        for measured in tuner.measure():
            _say_measured(measured)
    except KeyboardInterrupt:
        if not tuner.has_rows:
            raise
        code = _STOPPED
    tuning = tuner.tuning()
    for line in _table(tuning):
        say(line)
    _say_recommended(tuning, recording, options)
    for path in _written(tuning, folder):
        say(translated("Wrote {file}").format(file=path))
    if code:
        sentence = translated("stopped; {done} of {count} settings were measured")
        line = sentence.format(done=len(tuning.rows), count=tuning.settings)
        say(f"longscribe: {line}", error=True)
    return code


def _confined(options: RunOptions) -> RunOptions:
    """The options, where all that they name may be read and written.

    Raises:
        OptionError: something may not, or the pictures should go to a bucket.
    """
    if is_url(options.output_dir):
        raise OptionError(translated("--output-dir: give a folder on this machine."))
    return Access.from_environment().confine(options)


def _text_of(file: str) -> str:
    """What a file says.

    Raises:
        OptionError: it cannot be read, or is no text.
    """
    path = Path(Access.from_environment().allowed(file, "--reference")).expanduser()
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OptionError(
            translated("--reference: {file!r} cannot be read: {reason}.").format(
                file=file, reason=told(error)
            )
        ) from None
    except ValueError:
        raise OptionError(
            translated("--reference: {file!r} is no text in UTF-8.").format(file=file)
        ) from None


def _say_samples(tuner: Tuner) -> None:
    places = ", ".join(format_time(one.start_s) for one in tuner.excerpts)
    line = translated(
        "{minutes:.1f} minutes of speech out of {duration}, from {places}; {count} settings"
    )
    say(
        line.format(
            minutes=tuner.excerpt_speech_s / 60.0,
            duration=format_time(tuner.duration_s),
            places=places,
            count=len(tuner.settings),
        )
    )


def _say_measured(measured: Measured) -> None:
    row, width = measured.row, len(str(measured.total))
    line = translated("{number}/{total}  {seconds:6.1f} s  {percent:5.1f} %  {setting}")
    say(
        line.format(
            number=f"{measured.number:{width}d}",
            total=measured.total,
            seconds=measured.seconds,
            percent=row.disagreement_percent,
            setting=row.setting.label,
        )
    )


def _table(tuning: Tuning) -> list[str]:
    """The settings as lines, the fastest first."""
    table = Table(title=tuning.compared_with, title_justify="left", caption_justify="left")
    table.caption = translated(
        "{words} words, so one is {points:.2f} points; seconds of recognition alone"
    ).format(words=tuning.words, points=100.0 / max(1, tuning.words))
    table.add_column(translated("model"), overflow="fold")
    numbers = (translated("seconds"), translated("x real time"), translated("whole"), "%")
    for heading in (
        *(translated("speed"), translated("precision"), translated("beams"), *numbers),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in tuning.rows:
        notes = []
        if row.setting == tuning.yardstick:
            notes.append(translated("yardstick"))
        if row is tuning.recommended:
            notes.append(translated("recommended"))
        table.add_row(
            row.setting.model,
            row.setting.shown_speed,
            row.setting.precision,
            row.setting.shown_beams,
            f"{row.seconds:.1f}",
            f"{row.x_real_time:.1f}",
            format_time(row.whole_recording_s),
            f"{row.disagreement_percent:.1f}",
            ", ".join(notes),
            style="bold" if row is tuning.recommended else "",
        )
    is_terminal = sys.stdout.isatty()
    width = None if is_terminal else _WIDEST
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=width)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def _say_recommended(tuning: Tuning, recording: str, options: RunOptions) -> None:
    """The choice with its reason, and the command that uses it."""
    row, best = tuning.recommended, tuning.best
    say(translated("Recommended: {setting}").format(setting=row.setting.label))
    if row is best:
        line = translated("Nothing faster is within {points:g} points of it.")
    else:
        line = translated(
            "The fastest within {points:g} points of {best}: {share:.0f} % of its time."
        )
    say(
        line.format(
            points=tuning.within_points,
            best=best.setting.label,
            share=100.0 * row.seconds / best.seconds,
        )
    )
    differ = max(one.slowest_seconds / one.seconds for one in tuning.rows) - 1.0
    if differ > _UNSTEADY:
        line = translated(
            "The rounds' times differ by up to {percent:.0f} %: something else is running here."
        )
        say(line.format(percent=100.0 * differ))
    if tuning.yardstick is not None:
        say(translated("What was said is not known: a difference of a few words means nothing."))
    chosen = {**options.model_dump(), **row.setting.model_dump()}
    say("  " + command_line_of(recording, chosen))


def command_line_of(recording: str, chosen: dict[str, Any]) -> str:
    """The command that transcribes a recording with these options, as a shell reads it.

    Args:
        recording: as it was given.
        chosen: options by their names; the setting's own are told even where they are the default.
    """
    words = ["longscribe", *(["--"] if recording.startswith("-") else []), recording]
    told_words: list[str] = []
    for option in OPTIONS:
        if option.is_required:
            continue
        value = chosen[option.name]
        if value == option.default and option.name not in COMPARED.values():
            continue
        if value is None:
            continue
        for one in value if option.is_list else [value]:
            told_words += [option.spelled, str(one)]
    return shlex.join([words[0], *told_words, *words[1:]])


def _written(tuning: Tuning, folder: Path) -> list[Path]:
    """The plot and the numbers as files.

    Raises:
        OutputError: they cannot be written.
    """
    contents = {"svg": tuning.plot(), "json": tuning.model_dump_json(indent=2) + "\n"}
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, content in contents.items():
            paths.append(folder / f"{folder.name}.tune.{suffix}")
            replace_file(paths[-1], content.encode())
    except OSError as error:
        raise OutputError(
            translated("cannot write to {folder}: {reason}.").format(
                folder=folder, reason=told(error)
            )
        ) from None
    return paths
