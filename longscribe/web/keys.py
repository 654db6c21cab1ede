"""Keys of programs: shown once when they are made, kept as digests, revocable."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session as Db

from longscribe.errors import OptionError
from longscribe.web.tables import Key, User
from longscribe.wording.catalog import translated

# To bring recordings; to read one's own and what is shared; to do both for everybody, and keys.
SCOPES: Final = ("transcribe", "read", "admin")
_PREFIX: Final = "ls-"
_SHOWN_CHARS: Final = 8
_USED_EVERY_S: Final = 60.0  # that a key was used is written down no more often


class KeyLimits(NamedTuple):
    """What a key may bring; None for what the application allows."""

    largest_bytes: int | None = None
    most_jobs: int | None = None
    most_hours: float | None = None


NO_LIMITS: Final = KeyLimits()


def add_key(
    db: Db,
    user: User,
    name: str,
    scopes: Sequence[str] = ("transcribe", "read"),
    days: float | None = None,
    limits: KeyLimits = NO_LIMITS,
) -> str:
    """A new key of a user's: the only time that it is seen.

    Args:
        db: of the database.
        user: whose recordings are brought and read with it.
        name: by which it is told from the user's others.
        scopes: of `SCOPES`.
        days: until it expires; None for never.
        limits: of what it brings.

    Raises:
        OptionError: the name is taken or empty, or a scope unknown or not the user's to give.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= 80 or not name.isprintable():
        raise OptionError(translated("a key has a name of up to 80 characters."))
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        sentence = translated("{scope!r} is no scope; choose from {scopes}.")
        raise OptionError(
            sentence.format(scope=unknown[0] if unknown else "", scopes=", ".join(SCOPES))
        )
    if "admin" in scopes and not user.is_admin:
        sentence = translated("{name!r} is no admin, and cannot have a key with the scope admin.")
        raise OptionError(sentence.format(name=user.name))
    if db.scalar(select(Key).where(Key.user_id == user.id, Key.name == name)) is not None:
        raise OptionError(translated("there is a key {name!r} already.").format(name=name))
    secret = _PREFIX + secrets.token_urlsafe(32)
    db.add(
        Key(
            user_id=user.id,
            name=name,
            digest=_digest(secret),
            beginning=secret[:_SHOWN_CHARS],
            scopes=sorted(set(scopes), key=SCOPES.index),
            expires_at=None if days is None else time.time() + days * 86_400,
            **limits._asdict(),
        )
    )
    db.flush()
    return secret


def find_key(db: Db, secret: str) -> tuple[Key, User] | None:
    """The key that somebody showed, and whose it is; None where it is none any more."""
    row = db.execute(
        select(Key, User).join(User, User.id == Key.user_id).where(Key.digest == _digest(secret))
    ).first()
    if row is None:
        return None
    key, user = row._tuple()
    now = time.time()
    if key.revoked_at is not None or (key.expires_at or now) < now or user.is_disabled:
        return None
    if now - (key.used_at or 0.0) > _USED_EVERY_S:
        key.used_at = now
    return key, user


def revoke_key(db: Db, user: User, name: str) -> None:
    """End a key for good.

    Raises:
        OptionError: the user has no such key.
    """
    key = db.scalar(select(Key).where(Key.user_id == user.id, Key.name == name))
    if key is None:
        sentence = translated("{user!r} has no key {name!r}.")
        raise OptionError(sentence.format(user=user.name, name=name))
    key.revoked_at = key.revoked_at or time.time()


def keys_of(db: Db, user: User) -> list[Key]:
    """A user's keys, in the order they were made."""
    return list(db.scalars(select(Key).where(Key.user_id == user.id).order_by(Key.created_at)))


def key_state(key: Key) -> str:
    """Whether a key still opens anything, for people."""
    if key.revoked_at is not None:
        return translated("revoked")
    if key.expires_at is not None and key.expires_at < time.time():
        return translated("expired")
    return translated("valid")


def _digest(secret: str) -> str:
    # 256 random bits: nothing that can be guessed, so nothing that a slow hash would protect.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
