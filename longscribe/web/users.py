"""Users and their passwords."""

import re
import secrets
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from longscribe.errors import OptionError
from longscribe.web.tables import Session, User
from longscribe.wording.catalog import translated

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_SHORTEST_PASSWORD: Final = 10
_LONGEST_PASSWORD: Final = 1000
_HASHER: Final = PasswordHasher()


def add_user(db: Db, name: str, password: str | None = None, is_admin: bool = False) -> User:
    """A new user.

    Args:
        db: of the database.
        name: to log in with.
        password: None for who comes in by keys or by OIDC alone.
        is_admin: whether they may see and do everything.

    Raises:
        OptionError: the name is taken or none, or the password too short.
    """
    if not _NAME.fullmatch(name):
        sentence = translated(
            "{name!r} is no name of a user; use up to 64 letters, digits and . _ @ + -"
        )
        raise OptionError(sentence.format(name=name[:80]))
    if find_user(db, name) is not None:
        raise OptionError(translated("there is a user {name!r} already.").format(name=name))
    user = User(name=name, is_admin=is_admin)
    if password is not None:
        set_password(user, password)
    db.add(user)
    db.flush()
    return user


def find_user(db: Db, name: str) -> User | None:
    """The user of a name, or None."""
    return db.scalar(select(User).where(User.name == name))


def user_named(db: Db, name: str) -> User:
    """The user of a name.

    Raises:
        OptionError: there is none.
    """
    user = find_user(db, name)
    if user is None:
        sentence = translated("there is no user {name!r}; `longscribe users add` makes one.")
        raise OptionError(sentence.format(name=name))
    return user


def set_password(user: User, password: str) -> None:
    """Give a user a password.

    Raises:
        OptionError: it is too short or too long.
    """
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        sentence = translated("a password has {least} to {most} characters.")
        raise OptionError(sentence.format(least=_SHORTEST_PASSWORD, most=_LONGEST_PASSWORD))
    user.password_hash = _HASHER.hash(password)


def end_sessions(db: Db, user: User) -> None:
    """Log a user out everywhere."""
    for session in db.scalars(select(Session).where(Session.user_id == user.id)):
        db.delete(session)


def is_password_of(user: User | None, password: str) -> bool:
    """Whether it is; as slow for users that there are not, so that the time tells nothing."""
    known = user.password_hash if user is not None and not user.is_disabled else None
    try:
        _HASHER.verify(known or _nobodys_hash(), password[:_LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False
    return known is not None


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(32))
