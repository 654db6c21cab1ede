"""A command whose help is in the reader's language.

Decorators take help when the module is imported, before anybody knows the language. So it stays
English, marked by `translatable`, until it is shown. Click's own words come from the same catalog,
through `libraries_speak_it`.
"""

from collections.abc import Sequence
from copy import copy

import click

from longscribe.wording.catalog import UI_LANGUAGES, translated


class TranslatedCommand(click.Command):
    """A click command that translates its help, and that of its options, as it shows it."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does."""
        click.Command.format_help_text(self._told(), ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write all options."""
        told = self._told()
        told.params = [_told(param) for param in self.params]
        click.Command.format_options(told, ctx, formatter)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """The option for help, which click keeps in the language that it was first made in."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = translated("Show this message and exit.")
        return option

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what comes after the options."""
        click.Command.format_epilog(self._told(), ctx, formatter)

    def _told(self) -> click.Command:
        told = copy(self)
        told.help, told.epilog = translated(self.help or ""), translated(self.epilog or "")
        return told


class TranslatedGroup(click.Group):
    """A click group that translates its help and the short helps of its commands."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the commands are for."""
        told = copy(self)
        told.help = translated(self.help or "")
        click.Command.format_help_text(told, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does."""
        told = copy(self)
        told.commands = {}
        for name, command in self.commands.items():
            told.commands[name] = copy(command)
            told.commands[name].help = translated(command.help or "")
        click.Group.format_commands(told, ctx, formatter)


def _told(param: click.Parameter) -> click.Parameter:
    if not isinstance(param, click.Option) or not param.help:
        return param
    told = copy(param)
    told.help = translated(param.help)
    return told


def ui_language_of(arguments: Sequence[str]) -> str:
    """The language asked for, before anything is parsed: mistakes and help are told in it."""
    for place, argument in enumerate(arguments):
        name, is_joined, value = argument.replace("-", "_").partition("=")
        if name == "__ui_language":
            asked = value if is_joined else "".join(arguments[place + 1 : place + 2])
            known = {code.lower(): code for code in UI_LANGUAGES}
            return known.get(asked.replace("-", "_").lower(), "auto")
    return "auto"
