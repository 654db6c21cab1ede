"""What a field of the options says besides its type, default, limits and description."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """How the command has an option.

    Attributes:
        help: a few words, marked by `translatable`; an option without is left out of `--help`.
        names: further ones, such as `-m`.
        metavar: what stands for the value in `--help`; empty for that of the type.
        is_flag: whether it is given without a value.
        is_of_recordings: whether it is made of the recordings that the command is given.
    """

    help: str = ""
    names: tuple[str, ...] = ()
    metavar: str = ""
    is_flag: bool = False
    is_of_recordings: bool = False


@dataclass(frozen=True, kw_only=True)
class Docs:
    """What is to be told where the field itself does not say it, in Markdown.

    Attributes:
        text: instead of the description, in docs/options.md only: it may have links.
        values: what may be given, where that is more than the type and the limits.
        unit: of a number.
        default: what an empty default stands for.
    """

    text: str = ""
    values: str = ""
    unit: str = ""
    default: str = ""
