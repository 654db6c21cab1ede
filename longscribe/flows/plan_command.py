"""`longscribe plan`: what so many hours of recording a day need, by measured constants."""

import json
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import click

from longscribe.capacity.measured import measured
from longscribe.capacity.plan import MOST_HOURS_PER_DAY, NO_GPU, Load, Plan, plan
from longscribe.errors import OptionError
from longscribe.flows.output import say
from longscribe.flows.translated_command import TranslatedCommand
from longscribe.wording.catalog import translatable, translated

_DEFAULTS = Load.model_fields
_WIDTH = 98


def _option(name: str, kind: Any, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    default = _DEFAULTS[name].default
    flag = f"--{name.replace('_', '-')}"
    return click.option(flag, type=kind, default=default, show_default=True, help=help)


@click.command(
    cls=TranslatedCommand,
    help=translatable("Tell what so many hours of recording a day need: machines, server, money."),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--hours-per-day", type=float, required=True, help=translatable("Of recording, up to 1000000.")
)
@click.option(
    "--model", "-m", default="turbo", show_default=True, help=translatable("Its size decides.")
)
@_option("processor", str, translatable("avx2, avx-vnni, avx512, avx512-vnni or amx."))
@_option("gpu", str, translatable("In each machine: none or h200."))
@_option("recording_minutes", float, translatable("Length of a recording."))
@_option("chunk_minutes", float, translatable("Length of a chunk."))
@_option("cores_per_machine", int, translatable("Of a worker's machine."))
@_option("hours_of_work", float, translatable("Of a day, in which all is to be done."))
@_option("spare_percent", float, translatable("Of the cores, for peaks and repairs."))
@_option("keep_days", float, translatable("For which the server keeps runs."))
@_option(
    "rows", click.Choice(["chunk", "recording"]), translatable("Of the server: LONGSCRIBE_ROWS.")
)
@click.option(
    "--core-hour-price", type=float, default=None, help=translatable("In your own money.")
)
@_option("gpu_hour_price", float, translatable("Of a GPU, beside its machine's cores."))
@click.option("--json", "as_json", is_flag=True, help=translatable("For programs."))
def plan_command(as_json: bool, **values: Any) -> int:
    """Tell what so many hours of recording a day need: machines, server, money."""
    _check(values)
    made = plan(Load(**values))
    if as_json:
        say(json.dumps(made.model_dump(mode="json"), indent=2))
        return 0
    for line in _lines(made):
        say(line)
    return 0


def _check(values: dict[str, Any]) -> None:
    limits: dict[str, tuple[float, float]] = {
        "hours_per_day": (0.001, MOST_HOURS_PER_DAY),
        "recording_minutes": (0.05, 6000),
        "chunk_minutes": (0.5, 60),
        "cores_per_machine": (1, 1024),
        "hours_of_work": (0.1, 24),
        "spare_percent": (0, 90),
        "keep_days": (0, 36_500),
        "core_hour_price": (0, 1e6),
        "gpu_hour_price": (0, 1e6),
    }
    for name, (least, most) in limits.items():
        value = values[name]
        if value is not None and not least <= value <= most:
            raise OptionError(
                translated("--{name}: {value:g} is not between {least:g} and {most:,.0f}.").format(
                    name=name.replace("_", "-"), value=value, least=least, most=most
                )
            )


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
