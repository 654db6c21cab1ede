"""Tags that somebody uses, and with whom a recording is shared."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Db

from longscribe.web.callers import Caller
from longscribe.web.problems import Problem
from longscribe.web.recordings import share_with
from longscribe.web.tables import Recording, Share, Tag, User
from longscribe.web.users import find_user
from longscribe.wording.catalog import translated


def all_tags(db: Db, caller: Caller) -> list[str]:
    """The caller's tags, in alphabetical order."""
    query = select(Tag.name).join(Recording, Recording.id == Tag.recording_id)
    mine = query.where(Recording.user_id == caller.user.id).distinct().order_by(Tag.name)
    return list(db.scalars(mine))


def shared_with(db: Db, recording_id: str) -> list[User]:
    """With whom a recording is shared."""
    query = select(User).join(Share, Share.user_id == User.id)
    return list(db.scalars(query.where(Share.recording_id == recording_id).order_by(User.name)))


def share_by_name(db: Db, recording: Recording, name: str) -> None:
    """Let a user of this name read a recording.

    Raises:
        Problem: 400, there is none.
    """
    user = find_user(db, name.strip())
    if user is None:
        sentence = translated("There is no user {name!r}.").format(name=name[:80])
        raise Problem(400, sentence, field="name", code="no_such_user")
    share_with(db, recording, user)


def unshare(db: Db, recording: Recording, user_id: str) -> None:
    """Let somebody not read a recording any more."""
    db.execute(delete(Share).where(Share.recording_id == recording.id, Share.user_id == user_id))
