"""What the command's options are made of: their values, and their defaults from `RunOptions`."""

from collections.abc import Callable
from typing import Any, Final

import click

from longscribe.options import RunOptions
from longscribe.wording.catalog import translated


class _FloatOrNone(click.ParamType[float | None]):
    name = "float"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value is None or str(value).lower() == "none":
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(
                translated("{value!r} is not a number or None").format(value=value), param, ctx
            )


class MinutesOrAuto(click.ParamType[float | str]):
    """A number of minutes, or auto."""

    name = "minutes|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """The number, or `auto`."""
        if str(value).lower() == "auto":
            return "auto"
        try:
            return float(value)
        except ValueError:
            sentence = translated("{value!r} is not a number of minutes or auto")
            self.fail(sentence.format(value=value), param, ctx)


class _CountOrAuto(click.ParamType[int | str]):
    name = "n|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if str(value).lower() in ("auto", "0"):  # 0 is openai-whisper's automatic --threads
            return "auto"
        try:
            return int(value)
        except ValueError:
            sentence = translated("{value!r} is not a whole number or auto")
            self.fail(sentence.format(value=value), param, ctx)


COUNT: Final = _CountOrAuto()
NUMBER: Final = _FloatOrNone()


def option(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    """A click option whose default is the one of `RunOptions`."""
    field = RunOptions.model_fields[names[-1]]
    return click.option(*names, default=field.default, **attributes)


def hidden(name: str, type_: Any) -> Callable[[Any], Any]:
    """One that the help leaves out."""
    return option(f"--{name.replace('_', '-')}", name, type=type_, hidden=True)
