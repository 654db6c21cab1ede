"""`longscribe keys`: keys of programs."""

import click

from longscribe.errors import InputError
from longscribe.flows.translated_command import TranslatedCommand, TranslatedGroup
from longscribe.options import parse_bytes
from longscribe.web.keys import KeyLimits, add_key, key_state, keys_of, revoke_key
from longscribe.web.users import add_user, find_user, user_named
from longscribe.web.users_command import open_database
from longscribe.wording.catalog import translatable, translated


@click.group(cls=TranslatedGroup, help=translatable("Keys of programs."))
def main() -> None:
    """Keys of programs."""


@main.command(cls=TranslatedCommand, help=translatable("Make a key; it is shown once."))
@click.argument("name")
@click.option("--user", default=None, help=translatable("Whose recordings.  [the key's name]"))
@click.option(
    "--scope",
    default="transcribe,read",
    help=translatable("Of transcribe, read, admin.  [transcribe,read]"),
)
@click.option("--days", type=click.FloatRange(min=0.0), help=translatable("Until it expires."))
@click.option("--largest", default=None, help=translatable("Of one recording, such as 2GB."))
@click.option("--most-jobs", type=click.IntRange(min=0), help=translatable("In 24 hours."))
@click.option(
    "--most-hours", type=click.FloatRange(min=0.0), help=translatable("Of sound in 24 hours.")
)
def add(
    name: str,
    user: str | None,
    scope: str,
    days: float | None,
    largest: str | None,
    most_jobs: int | None,
    most_hours: float | None,
) -> None:
    """Make a key; it is shown once. Without --user it gets a user of its own, without password."""
    try:
        largest_bytes = parse_bytes(largest) if largest is not None else None
    except ValueError as error:
        raise click.UsageError(f"--largest: {error}") from None
    scopes = [part.strip() for part in scope.split(",") if part.strip()]
    try:
        with open_database().begin() as db:
            if user is None:
                owner = find_user(db, name) or add_user(db, name, is_admin="admin" in scopes)
            else:
                owner = user_named(db, user)
            limits = KeyLimits(largest_bytes, most_jobs, most_hours)
            secret = add_key(db, owner, name, scopes, days, limits)
    except InputError as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        translated("This key of {user} is shown now and never again:").format(user=owner.name)
    )
    click.echo(secret)


@main.command("list", cls=TranslatedCommand, help=translatable("A user's keys."))
@click.argument("user")
def show(user: str) -> None:
    """A user's keys, one a line."""
    try:
        with open_database().begin() as db:
            for key in keys_of(db, user_named(db, user)):
                shown = [f"{key.beginning}...", key.name, ",".join(key.scopes), key_state(key)]
                click.echo("\t".join(shown))
    except InputError as error:
        raise click.ClickException(str(error)) from None


@main.command(cls=TranslatedCommand, help=translatable("End a key for good."))
@click.argument("user")
@click.argument("name")
def revoke(user: str, name: str) -> None:
    """End a key for good."""
    try:
        with open_database().begin() as db:
            revoke_key(db, user_named(db, user), name)
    except InputError as error:
        raise click.ClickException(str(error)) from None
    click.echo(translated("The key {name} opens nothing any more").format(name=name))


if __name__ == "__main__":
    main()
