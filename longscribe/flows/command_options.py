"""The options of the command: those of a run, and some of its own."""

from collections.abc import Callable
from typing import Any, Final

import click

from longscribe.flows.option_types import COUNT, NUMBER_OR_AUTO, NUMBER_OR_NONE
from longscribe.options import OPTIONS, Option
from longscribe.wording.catalog import translatable

_OF_THE_COMMAND: Final = (
    click.option(
        "--together", is_flag=True, help=translatable("The recordings are one conversation.")
    ),
    click.option(
        "--print/--no-print", "-p", "show", help=translatable("Print the transcript at the end.")
    ),
    click.option("--verbose", type=bool, default=False, hidden=True),  # upstream's --print
    click.option("--fp16", type=bool, hidden=True),  # --precision says it; upstream's own default
)


def all_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command's function all options."""
    of_runs = [
        click_option(option)
        for option in OPTIONS
        if not option.is_required and not option.command_line.is_of_recordings
    ]
    for decorate in reversed((*of_runs, *_OF_THE_COMMAND)):
        function = decorate(function)
    return function


def click_option(option: Option) -> Callable[[Any], Any]:
    """An option of runs as a command has it."""
    line = option.command_line
    names = sorted((option.spelled, *line.names), key=lambda name: name.startswith("--"))
    value: dict[str, Any] = {"type": _type(option), "metavar": line.metavar or None}
    if line.is_flag:
        value = {"is_flag": True}
    elif isinstance(value["type"], click.Choice):
        # Click's own would have pt-br for pt_BR.
        value["metavar"] = value["metavar"] or f"[{'|'.join(option.choices)}]"
    default = option.default
    if option.is_list and option.choices:
        default = ",".join(default)
    elif option.is_list:
        value["multiple"] = True
    shown = {"help": line.help} if line.help else {"hidden": True}
    return click.option(*names, option.name, default=default, **value, **shown)


def _type(option: Option) -> Any:
    """How a value on the command line is read."""
    if option.choices and not option.is_list:
        # Locales are written in any case.
        is_lower = all(choice == choice.lower() for choice in option.choices)
        return click.Choice(option.choices, case_sensitive=is_lower)
    if option.takes_auto:
        return COUNT if option.type is int else NUMBER_OR_AUTO
    if option.takes_none and option.type is float:
        return NUMBER_OR_NONE
    return option.type
