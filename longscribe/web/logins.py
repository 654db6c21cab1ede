"""Logins of browsers: sessions in cookies, and a door that closes after too many failures."""

import hashlib
import secrets
import time
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session as Db

from longscribe.web.problems import Problem
from longscribe.web.tables import FailedLogin, Session, User
from longscribe.web.users import find_user, is_password_of
from longscribe.wording.catalog import translated

COOKIE: Final = "longscribe_session"
_WITHIN_S: Final = 900.0
_MOST_OF_NAME: Final = 5  # from one address
_MOST_OF_ADDRESS: Final = 20
_MOST_OF_NAME_ANYWHERE: Final = 50


def log_in(db: Db, name: str, password: str, address: str) -> User | None:
    """The user of a name and password, or None; the caller commits, also what failed.

    Raises:
        Problem: 429, too many were refused of late.
    """
    refuse_too_many(db, name, address)
    user = find_user(db, name)
    if not is_password_of(user, password):
        db.add(FailedLogin(name=name[:64], address=address))
        return None
    db.execute(delete(FailedLogin).where(FailedLogin.name == name, FailedLogin.address == address))
    return user


def refuse_too_many(db: Db, name: str, address: str) -> None:
    """Refuse where too many logins failed in the last quarter of an hour.

    Raises:
        Problem: 429.
    """
    since = time.time() - _WITHIN_S
    db.execute(delete(FailedLogin).where(FailedLogin.at < since))
    by_name = FailedLogin.name == name[:64]
    by_address = FailedLogin.address == address
    for of_these, most in (
        ((by_name, by_address), _MOST_OF_NAME),
        ((by_address,), _MOST_OF_ADDRESS),
        ((by_name,), _MOST_OF_NAME_ANYWHERE),
    ):
        failed = db.scalar(select(func.count()).select_from(FailedLogin).where(*of_these)) or 0
        if failed >= most:
            raise Problem(
                429,
                translated("Too many logins failed; try again in a quarter of an hour."),
                code="too_many_logins",
                headers={"retry-after": str(round(_WITHIN_S))},
            )


def open_session(db: Db, user: User, days: float) -> str:
    """A new session; the value of its cookie."""
    value = secrets.token_urlsafe(32)
    db.execute(delete(Session).where(Session.expires_at < time.time()))
    db.add(
        Session(
            digest=_digest(value),
            user_id=user.id,
            csrf_token=secrets.token_urlsafe(32),
            expires_at=time.time() + days * 86_400,
        )
    )
    return value


def find_session(db: Db, value: str) -> tuple[Session, User] | None:
    """The session of a cookie, and whose it is; None where it is none any more."""
    row = db.execute(
        select(Session, User)
        .join(User, User.id == Session.user_id)
        .where(Session.digest == _digest(value), Session.expires_at > time.time())
    ).first()
    if row is None:
        return None
    session, user = row._tuple()
    return None if user.is_disabled else (session, user)


def close_session(db: Db, value: str) -> None:
    """End a session: its cookie opens nothing any more."""
    db.execute(delete(Session).where(Session.digest == _digest(value)))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
