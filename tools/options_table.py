"""`python -m tools.options_table`: bring the table in docs/options.md up to date with `RunOptions`.

It stands between two comments; the rest of the page is written by hand.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from longscribe.options import OPTIONS, Option

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "options.md"

_BEGIN, _END = "<!-- options -->", "<!-- /options -->"
_HEAD: Final = ("command line", "form and API", "type or choices", "default", "what it does")
_OF_THE_COMMAND: Final = (
    (
        *("`--print`, `-p`, `--no-print`", "", "yes or no", "no"),
        "print the transcript at the end; `--verbose True` does the same",
    ),
    ("`--version`, `-V`", "", "", "", "print the version"),
    ("`--help`, `-h`", "", "", "", "print the most used options"),
)


def with_table(page: str) -> str:
    """The page with the table of the options as they are now."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n\n{_table()}\n\n{end}{after}"


def main() -> None:
    """Bring the page up to date."""
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    click.echo(f"{PAGE}: {len(OPTIONS)} options")


def _table() -> str:
    rows = (_HEAD, *map(_row, OPTIONS), *_OF_THE_COMMAND)
    head, *lines = (
        "|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in rows
    )
    return "\n".join((head, "|---" * len(_HEAD) + "|", *lines))


def _row(option: Option) -> tuple[str, ...]:
    words = option.description.removesuffix(".")
    words = option.docs.text or words[:1].lower() + words[1:]
    names = ", ".join(f"`{name}`" for name in _names(option))
    return names, f"`{option.name}`", option.values, _default(option), words


def _names(option: Option) -> Iterator[str]:
    yield option.command_line.metavar if option.is_required else option.spelled
    yield from option.command_line.names


def _default(option: Option) -> str:
    default = option.default
    if option.docs.default or option.is_required:
        return option.docs.default or "required"
    if option.command_line.is_flag:
        return "yes" if default else "no"
    if default in (None, "", ()):
        return "none"
    if option.is_list:
        return f"`{','.join(default)}`"
    is_number = option.type in (int, float) and not isinstance(default, str)
    return f"{default:g}" if is_number else f"`{default}`"


if __name__ == "__main__":
    main()
