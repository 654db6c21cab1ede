"""`longscribe voices`: people whose voices are known on this machine."""

from pathlib import Path

import click

from longscribe.errors import InputError
from longscribe.flows.translated_command import TranslatedCommand, TranslatedGroup
from longscribe.speakers.enrolled import enrolled, voices_folder
from longscribe.speakers.enrolled import remove as remove_voice
from longscribe.wording.catalog import translatable, translated


class _Told(click.ClickException):
    exit_code = 2  # as everywhere, for what the caller can mend


@click.group(
    cls=TranslatedGroup,
    help=translatable("Voices that --known-voices names; kept on this machine only."),
)
def main() -> None:
    """Voices that `--known-voices` names."""


@main.command(
    cls=TranslatedCommand, help=translatable("Enroll a voice from a sample of one person.")
)
@click.argument("name")
@click.argument("sample", type=click.Path(path_type=Path))
def add(name: str, sample: Path) -> None:
    """Enroll a voice from a sample of one person."""
    # Here, not above: it takes its time.
    import torch

    from longscribe.api.voices import add_voice

    # Four seconds of a core; several threads wait for each other for minutes on a busy machine.
    torch.set_num_threads(1)
    try:
        voice = add_voice(name, sample)
    except InputError as error:
        raise _Told(str(error)) from None
    line = translated("Enrolled {name} by {spoken:.0f} s of speech, in {folder}")
    click.echo(line.format(name=voice.name, spoken=voice.spoken_s, folder=voices_folder()))


@main.command("list", cls=TranslatedCommand, help=translatable("List the voices."))
def list_voices() -> None:
    """List the voices."""
    for voice in enrolled():
        click.echo(
            translated("{name}, {spoken:.0f} s").format(name=voice.name, spoken=voice.spoken_s)
        )


@main.command(cls=TranslatedCommand, help=translatable("Forget a voice for good."))
@click.argument("name")
def remove(name: str) -> None:
    """Forget a voice for good."""
    try:
        remove_voice(name)
    except InputError as error:
        raise _Told(str(error)) from None
    click.echo(translated("Forgot the voice of {name}").format(name=name))
