"""The settings that `tune` compares: every combination of a few options' values."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from longscribe.errors import OptionError
from longscribe.options import Auto, Precision, RunOptions, check_options
from longscribe.wording.catalog import translated

# Options that are compared, each by the name of its list.
COMPARED: Final = {
    "models": "model",
    "speeds": "speed",
    "precisions": "precision",
    "beam_sizes": "beam_size",
}
_NUMBERS: Final = {"speed": float, "beam_size": int}


class Setting(BaseModel):
    """A combination; `longscribe.transcribe(source, **setting.model_dump())` uses it.

    Attributes:
        model: as `--model`.
        speed: as `--speed`.
        precision: as `--precision`, with what `auto` is on this machine.
        beam_size: as `--beam-size`; None for greedy decoding.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    speed: Auto | float
    precision: Precision
    beam_size: int | None

    @property
    def beams(self) -> int:
        """How many hypotheses are kept at each step; 1 where decoding is greedy."""
        return self.beam_size or 1

    @property
    def label(self) -> str:
        """In a few words: `base, 1.2x, int8, 5 beams`."""
        return f"{self.model}, {self.label_beside_model}"

    @property
    def label_beside_model(self) -> str:
        """The same where the model is known."""
        return f"{self.shown_speed}, {self.precision}, {self.shown_beams}"

    @property
    def shown_beams(self) -> str:
        """The beams as people read them."""
        if self.beam_size is None:
            return translated("greedy")
        return translated("{count} beams").format(count=self.beam_size)

    @property
    def shown_speed(self) -> str:
        """The speed as people read it: `1.2x`, or `auto`."""
        return "auto" if self.speed == "auto" else f"{self.speed}x"


def checked_values(name: str, given: Sequence[Any] | str) -> list[Any]:
    """The values to compare of one option, each once; `none` is None.

    Args:
        name: of `COMPARED`.
        given: the values, or a text of them with commas.

    Raises:
        OptionError: one is out of its range, or there is none.
    """
    option = COMPARED[name]
    parts = given.split(",") if isinstance(given, str) else given
    values = []
    for part in parts:
        value = part.strip() if isinstance(part, str) else part
        if value == "":
            continue
        if option == "beam_size" and str(value).lower() == "none":
            value = None
        elif option in _NUMBERS and isinstance(value, str):
            with suppress(ValueError):  # one that is refused is told as a number
                value = _NUMBERS[option](value)
        try:
            checked = check_options(recording="here", **{option: value})
        except OptionError as error:
            # The same sentence as for a run, with the name that was used here.
            sentence = str(error).replace(_spelled(option), _spelled(name), 1)
            raise OptionError(sentence) from None
        values.append(getattr(checked, option))
    if not values:
        raise OptionError(translated("{option}: name at least one.").format(option=_spelled(name)))
    return list(dict.fromkeys(values))


def combinations(
    models: Iterable[str],
    speeds: Iterable[Any],
    precisions: Iterable[Precision],
    beam_sizes: Iterable[int | None],
) -> list[Setting]:
    """Every combination."""
    return [
        Setting(model=model, speed=speed, precision=precision, beam_size=beam_size)
        for model, speed, precision, beam_size in product(models, speeds, precisions, beam_sizes)
    ]


def run_options(base: RunOptions, setting: Setting) -> RunOptions:
    """The options of a run with a setting.

    Raises:
        OptionError: they do not go together.
    """
    return check_options(**(base.model_dump() | setting.model_dump()))


def most_careful(settings: Sequence[Setting], largest_model: str) -> Setting:
    """The yardstick where nobody knows what was said: at the speaker's own tempo, in float32.

    Args:
        settings: that are compared.
        largest_model: of theirs.
    """
    beam_size = max(settings, key=lambda setting: setting.beams).beam_size
    return Setting(model=largest_model, speed=1.0, precision="float32", beam_size=beam_size)


def _spelled(name: str) -> str:
    return "--" + name.replace("_", "-")
