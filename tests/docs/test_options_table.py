"""Every option is shown wherever options are, and the table of the docs is that of the code."""

import re

import pytest

from longscribe.flows.command_line import command
from longscribe.flows.transcribe import transcribe
from longscribe.options import OPTIONS, Option, RunOptions
from tools.options_table import PAGE, with_table

PAGE_NOW = PAGE.read_text(encoding="utf-8")


def test_the_table_of_options_is_current() -> None:
    assert with_table(PAGE_NOW) == PAGE_NOW, "run `python -m tools.options_table`"


def test_options_have_an_order_without_gaps() -> None:
    names = [option.name for option in OPTIONS]
    assert set(names) == set(RunOptions.model_fields)
    assert len(names) == len(set(names))


def test_every_option_is_in_the_command_the_form_and_the_docs() -> None:
    names = [option.name for option in OPTIONS]
    assert list(transcribe.parameters.properties) == names
    table = PAGE_NOW.partition("<!-- /options -->")[0]
    assert re.findall(r"^\| [^|]* \| `(\w+)` \|", table, flags=re.M) == names
    in_command = [param.name for param in command.params]
    of_runs = [one.name for one in OPTIONS[1:] if not one.command_line.is_of_recordings]
    assert [*of_runs, "together"] == sorted([*names[1:]], key=[*of_runs, "together"].index)
    assert in_command == ["recordings", *of_runs, "together", "show", "verbose", "fp16", "version"]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_is_explained(option: Option) -> None:
    assert re.fullmatch(r"[^\[\]\n]{20,}\.", option.description)  # a link would lead nowhere there
    shown = option.command_line.help.rpartition("[")[2].rstrip("]")
    if option.command_line.help.endswith("]"):
        default = option.default
        assert shown == (default if isinstance(default, str) else f"{default:g}")
