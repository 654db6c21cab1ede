"""`longscribe users`: who may come in."""

import sys

import click
from sqlalchemy import select

from longscribe.errors import InputError
from longscribe.flows.translated_command import TranslatedCommand, TranslatedGroup
from longscribe.web.database import Database
from longscribe.web.settings import WebSettings
from longscribe.web.tables import User
from longscribe.web.users import add_user, end_sessions, set_password, user_named
from longscribe.wording.catalog import translatable, translated


def open_database() -> Database:
    """The web application's database.

    Raises:
        click.ClickException: it cannot be opened; it says why.
    """
    try:
        return Database(WebSettings.from_environment().database_url)
    except InputError as error:
        raise click.ClickException(str(error)) from None


@click.group(cls=TranslatedGroup, help=translatable("Users of the web application."))
def main() -> None:
    """Users of the web application."""


@main.command(cls=TranslatedCommand, help=translatable("Add a user; the password is asked for."))
@click.argument("name")
@click.option("--admin", is_flag=True, help=translatable("May give out keys of scope admin."))
@click.option(
    "--no-password", is_flag=True, help=translatable("Comes in by keys or by OIDC alone.")
)
def add(name: str, admin: bool, no_password: bool) -> None:
    """Add a user; the password is asked for, or read from the standard input."""
    database = open_database()
    password = None if no_password else _asked_password()
    try:
        with database.begin() as db:
            add_user(db, name, password, admin)
    except InputError as error:
        raise click.ClickException(str(error)) from None
    click.echo(translated("Added the user {name}").format(name=name))


@main.command(cls=TranslatedCommand, help=translatable("Give a user another password."))
@click.argument("name")
def password(name: str) -> None:
    """Give a user another password; ends their sessions."""
    database = open_database()
    try:
        with database.begin() as db:
            user = user_named(db, name)
            set_password(user, _asked_password())
            end_sessions(db, user)
    except InputError as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        translated("Changed the password of {name}; all sessions are closed").format(name=name)
    )


@main.command(cls=TranslatedCommand, help=translatable("Close the door to a user."))
@click.argument("name")
@click.option("--undo", is_flag=True, help=translatable("Open it again."))
def disable(name: str, undo: bool) -> None:
    """Close the door to a user: no login, no key; recordings stay."""
    database = open_database()
    try:
        with database.begin() as db:
            user = user_named(db, name)
            user.is_disabled = not undo
            end_sessions(db, user)
    except InputError as error:
        raise click.ClickException(str(error)) from None
    sentence = translated("{name} may come in") if undo else translated("{name} may not come in")
    click.echo(sentence.format(name=name))


@main.command("list", cls=TranslatedCommand, help=translatable("All users."))
def show() -> None:
    """All users, one a line."""
    with open_database().begin() as db:
        for user in db.scalars(select(User).order_by(User.name)):
            marks = [
                *(["admin"] if user.is_admin else []),
                *([translated("closed")] if user.is_disabled else []),
                *([translated("no password")] if user.password_hash is None else []),
            ]
            click.echo("\t".join([user.name, *marks]))


def _asked_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt(translated("Password"), hide_input=True, confirmation_prompt=True))


if __name__ == "__main__":
    main()
