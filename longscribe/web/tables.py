"""The tables of the web application's database.

Identifiers that people see are random: they tell nothing about how many there are, and guessing one
finds nothing. Times are seconds since 1970: SQLite and PostgreSQL keep them alike.
"""

import base64
import secrets
import time
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def new_id() -> str:
    """A random identifier, 128 bits in hexadecimal digits."""
    return secrets.token_hex(16)


def _new_callback_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class Table(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012  # SQLAlchemy's


class SchemaVersion(Table):
    """One row: which version of these tables the database has."""

    __tablename__ = "schema_version"

    version: Mapped[int] = mapped_column(primary_key=True)


class User(Table):
    """Somebody with recordings of their own.

    Attributes:
        password_hash: by Argon2; None for who comes in by key or by OIDC alone.
        subject: who they are to the OIDC provider; None where that is not used.
        language: of the pages, one of `UI_LANGUAGES`, or "auto".
        callback_secret: signs what is sent to their callback URLs.
    """

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    subject: Mapped[str | None] = mapped_column(unique=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_disabled: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str] = mapped_column(default="auto")
    callback_secret: Mapped[str] = mapped_column(default=_new_callback_secret)
    created_at: Mapped[float] = mapped_column(default=time.time)


class Key(Table):
    """A key of a program. The key itself is never kept, only what it is recognized by.

    Attributes:
        digest: SHA-256 of the key, which is 256 random bits.
        beginning: its first characters, for people to tell keys apart.
        scopes: of `SCOPES`.
        largest_bytes: of one recording; None for the application's own limit.
        most_jobs: in 24 hours; None for any number.
        most_hours: of recordings in 24 hours; None for any.
    """

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    beginning: Mapped[str]
    scopes: Mapped[list[str]]
    largest_bytes: Mapped[int | None] = mapped_column(BigInteger)
    most_jobs: Mapped[int | None]
    most_hours: Mapped[float | None]
    created_at: Mapped[float] = mapped_column(default=time.time)
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    used_at: Mapped[float | None]

    __table_args__ = (UniqueConstraint("user_id", "name"),)


class Session(Table):
    """A login in a browser.

    Attributes:
        digest: SHA-256 of the cookie's value.
        csrf_token: that each form has to send along.
    """

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    csrf_token: Mapped[str]
    created_at: Mapped[float] = mapped_column(default=time.time)
    expires_at: Mapped[float]


class FailedLogin(Table):
    """A login that was refused, for a while: too many close the door."""

    __tablename__ = "failed_logins"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(index=True)
    address: Mapped[str] = mapped_column(index=True)
    at: Mapped[float] = mapped_column(default=time.time)


class Recording(Table):
    """A recording and its job: one run of the flow.

    Attributes:
        title: what people see; they may change it.
        source: path of the upload, or the URL.
        digest: SHA-256 of an upload.
        origin: `page`, `jobs`, `openai` or `asr`: who brought it.
        parameters: of the run, `recording` and `output_dir` aside.
        state: one of `STATES`.
        message: why it is in that state, for people.
        flow_run_id: None until the server has the run.
        folder: of the transcript's files.
        file_stem: name of those files without suffix.
        revision: counts the changes, for who waits for one.
    """

    __tablename__ = "recordings"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("keys.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    digest: Mapped[str] = mapped_column(default="", index=True)
    duration_s: Mapped[float | None]
    origin: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    queue: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="queued")
    message: Mapped[str] = mapped_column(Text, default="")
    percent: Mapped[float] = mapped_column(default=0.0)
    left_s: Mapped[float | None]
    flow_run_id: Mapped[str | None] = mapped_column(index=True)
    folder: Mapped[str] = mapped_column(Text)
    file_stem: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(default="")
    idempotency_key: Mapped[str | None]
    callback_url: Mapped[str | None] = mapped_column(Text)
    callback_with_text: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[float] = mapped_column(default=time.time)
    started_at: Mapped[float | None]
    ended_at: Mapped[float | None]

    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key"),
        Index("recordings_of_user", "user_id", "created_at"),
        Index("recordings_by_state", "state"),
    )


class Deletion(Table):
    """A recording that somebody deleted, until nothing is left of it.

    Attributes:
        recording_id: that it had.
        flow_run_id: of its run, which may still be ending; None where there was none.
        traces: what its run left in the caches of workers, as far as it was known.
    """

    __tablename__ = "deletions"

    recording_id: Mapped[str] = mapped_column(primary_key=True)
    flow_run_id: Mapped[str | None]
    traces: Mapped[dict[str, Any]]
    created_at: Mapped[float] = mapped_column(default=time.time)


class Version(Table):
    """A transcript as somebody left it: JSON of the outputs' form; number 0 is the run's own."""

    __tablename__ = "versions"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    number: Mapped[int]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    transcript: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(default=time.time)

    __table_args__ = (UniqueConstraint("recording_id", "number"),)


class Tag(Table):
    """A word that somebody put on a recording."""

    __tablename__ = "tags"

    recording_id: Mapped[str] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)


class Share(Table):
    """Somebody else may read a recording."""

    __tablename__ = "shares"

    recording_id: Mapped[str] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )


class Delivery(Table):
    """One message to a callback URL, kept until it arrived or was given up.

    Attributes:
        kind: `callback` or `hook`.
        body: as it is signed and sent, JSON.
        attempts: so far.
        next_at: when it is tried again; None when it is not.
        status: of the last answer; None where there was none.
        error: why the last attempt failed.
    """

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    recording_id: Mapped[str] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(default="callback")
    url: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[float | None] = mapped_column(default=time.time, index=True)
    status: Mapped[int | None]
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[float] = mapped_column(default=time.time)
    delivered_at: Mapped[float | None]
