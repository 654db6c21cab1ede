"""Options from outside: accepted, or refused with one sentence."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from longscribe.errors import OptionError
from longscribe.options.run import RunOptions
from longscribe.wording.catalog import translatable, translated


def check_options(**values: Any) -> RunOptions:
    """Build `RunOptions`, or raise one sentence that names the first bad option.

    Raises:
        OptionError: a value is out of range or not of its kind.
    """
    try:
        return RunOptions(**values)
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> OptionError:
    """The first thing that pydantic found wrong, in one sentence that names the option."""
    errors = error.errors(include_url=False)
    first = errors[0]
    given = first.get("input")
    is_number = isinstance(given, (int, float))
    if is_number:  # of one that may be `auto`, what is wrong with it as a number comes second
        first = [one for one in errors if one["loc"][:1] == first["loc"][:1]][-1]
    place = [part for part in first["loc"] if isinstance(part, str)]
    option = "--" + place[0].replace("_", "-") if place else translated("the options")
    message = _told(first)
    message = message[:1].lower() + message[1:]
    if message.startswith("--"):
        return OptionError(f"{message}.")
    shown = translated(" (it is {given!r})").format(given=given) if is_number else ""
    return OptionError(f"{option}: {message}{shown}.")


# What pydantic finds wrong, by its type: its own words, for the catalogs.
_SAID_BY_PYDANTIC = {
    "greater_than": translatable("Input should be greater than {gt}"),
    "greater_than_equal": translatable("Input should be greater than or equal to {ge}"),
    "less_than_equal": translatable("Input should be less than or equal to {le}"),
    "literal_error": translatable("Input should be {expected}"),
    "int_parsing": translatable(
        "Input should be a valid integer, unable to parse string as an integer"
    ),
    "float_parsing": translatable(
        "Input should be a valid number, unable to parse string as a number"
    ),
    "bool_parsing": translatable("Input should be a valid boolean, unable to interpret input"),
    "string_type": translatable("Input should be a valid string"),
    "string_too_short": translatable("String should have at least {min_length} character"),
}


def _told(error: ErrorDetails) -> str:
    """What pydantic says, in its own words where no catalog has others."""
    words = _SAID_BY_PYDANTIC.get(error["type"], "")
    if translated(words) == words:
        return error["msg"].removeprefix("Value error, ")
    values = dict(error.get("ctx", {}))
    if "expected" in values:  # such as "'cpu' or 'cuda'"
        values["expected"] = values["expected"].replace(" or ", translated(" or "))
    return translated(words).format(**values)
