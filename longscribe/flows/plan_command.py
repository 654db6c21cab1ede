"""`longscribe plan`: what so many hours of recording a day need, by measured constants."""

import json
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, get_args

import click

from longscribe.capacity.load import NO_GPU, Load, Rows
from longscribe.capacity.measured import measured
from longscribe.capacity.plan import Plan, plan
from longscribe.flows.output import say
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.wording.catalog import translatable, translated

_WIDTH = 98
_KINDS: dict[Any, click.ParamType[Any]] = {
    str: click.STRING,
    int: click.INT,
    float: click.FLOAT,
    float | None: click.FLOAT,
    Rows: click.Choice(get_args(Rows)),
}


def _options_of_load(command: Callable[..., int]) -> Callable[..., int]:
    for name, field in reversed(Load.model_fields.items()):
        flags = (f"--{name.replace('_', '-')}", *(("-m",) if name == "model" else ()))
        needed = field.is_required()
        option = click.option(
            *flags,
            type=_KINDS[field.annotation],
            required=needed,
            default=None if needed else field.default,
            show_default=not needed,
            help=field.description,
        )
        command = option(command)
    return command


@click.command(
    cls=TranslatedCommand,
    help=translatable("Tell what so many hours of recording a day need: machines, server, money."),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@_options_of_load
@click.option("--json", "as_json", is_flag=True, help=translatable("For programs."))
def plan_command(as_json: bool, **values: Any) -> int:
    """Tell what so many hours of recording a day need: machines, server, money."""
    made = plan(**values)
    if as_json:
        say(json.dumps(made.model_dump(mode="json"), indent=2))
        return 0
    for line in _lines(made):
        say(line)
    return 0


def _lines(made: Plan) -> Iterator[str]:
    load = made.load
    yield translated(
        "{hours:,g} hours of recording a day, {minutes:g} minutes each; {model} on {processor}"
    ).format(
        hours=load.hours_per_day,
        minutes=load.recording_minutes,
        model=load.model,
        processor=load.processor if load.gpu == NO_GPU else load.gpu,
    )
    yield ""
    for name, text in _rows(made):
        first, *more = textwrap.wrap(text, _WIDTH - 15)
        yield f"{name:14} {first}"
        for line in more:
            yield f"{'':14} {line}"
    if made.notes:
        yield ""
    for note in made.notes:
        yield from textwrap.wrap(note, _WIDTH)
    if made.estimated:
        yield ""
        words = translated("Estimated, not measured: {names}.").format(
            names=", ".join(made.estimated)
        )
        yield from textwrap.wrap(words, _WIDTH)
    base = measured().base_core_s_per_hour
    words = translated("Measured {date} on {machine}.").format(date=base.date, machine=base.machine)
    yield from textwrap.wrap(words, _WIDTH)


def _rows(made: Plan) -> Iterator[tuple[str, str]]:
    load = made.load
    yield (
        translated("an hour takes"),
        translated("{all:,.0f} core-seconds, {chunks:,.0f} of them decoding").format(
            all=made.core_s_per_hour, chunks=made.chunks_core_s_per_hour
        ),
    )
    yield (
        translated("workers"),
        translated(
            "{machines:,} machine(s) of {cores} cores; {busy:,.1f} cores at work, "
            "{spare:g} % to spare"
        ).format(
            machines=made.machines,
            cores=load.cores_per_machine,
            busy=made.cores,
            spare=load.spare_percent,
        ),
    )
    if load.gpu != NO_GPU:
        yield (
            translated("GPUs"),
            translated("one in each machine; {busy:,.2f} of them at work").format(busy=made.gpus),
        )
    yield (
        translated("memory"),
        translated("{size} for each machine").format(size=_size(made.memory_bytes_per_machine)),
    )
    yield (
        translated("disk"),
        translated("{size} for each machine; {transcripts} of transcripts a day").format(
            size=_size(made.disk_bytes_per_machine),
            transcripts=_size(made.transcripts_bytes_per_day),
        ),
    )
    yield (
        translated("runs"),
        translated(
            "{runs:,.0f} a day of {chunks} chunk(s); {rows:,.0f} rows of tasks a day"
        ).format(runs=made.runs_per_day, chunks=made.chunks_per_run, rows=made.rows_per_day),
    )
    yield (
        translated("server"),
        translated(
            "{processes:,} process(es), {cores:.2f} cores; {requests:,.2f} requests/s"
        ).format(
            processes=made.server_processes,
            cores=made.server_cores,
            requests=made.requests_per_s,
        ),
    )
    yield (
        translated("database"),
        translated("{cores:.2f} cores; grows by {growth} a day, to {size} in {days:g} days").format(
            cores=made.database_cores,
            growth=_size(made.database_bytes_per_day),
            size=_size(made.database_bytes),
            days=load.keep_days,
        ),
    )
    if made.price_per_day is not None and made.price_per_hour is not None:
        yield (
            translated("money"),
            translated("{hour:,.4g} for an hour of recording, {day:,.2f} a day for workers").format(
                hour=made.price_per_hour, day=made.price_per_day
            ),
        )


def _size(size_bytes: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:,.1f} {name}"
    return f"{size_bytes / 1e6:,.0f} MB"
