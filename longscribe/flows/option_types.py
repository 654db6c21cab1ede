"""Values on the command line that click has no type for."""

from typing import Any, Final

import click

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


class _NumberOrAuto(click.ParamType[float | str]):
    name = "number|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        if str(value).lower() == "auto":
            return "auto"
        try:
            return float(value)
        except ValueError:
            sentence = translated("{value!r} is not a number or auto")
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
NUMBER_OR_AUTO: Final = _NumberOrAuto()
NUMBER_OR_NONE: Final = _FloatOrNone()
