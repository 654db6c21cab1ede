"""The first user of a new web application: an admin whose password is in a file."""

import os
import secrets
from pathlib import Path
from typing import Final

from sqlalchemy import select

from longscribe.web.database import Database
from longscribe.web.settings import WebSettings
from longscribe.web.tables import User
from longscribe.web.users import add_user

_NAME: Final = "longscribe"


def first_login(settings: WebSettings, folder: Path) -> Path:
    """The file with the first user's name and password; both are made where nobody is there yet.

    Args:
        settings: of the application.
        folder: for the file, which only its owner may read.

    Raises:
        ServerError: the database cannot be opened.
    """
    file = folder / "web-login"
    database = Database(settings.database_url)
    try:
        with database.begin() as db:
            if db.scalar(select(User.id).limit(1)) is not None:
                return file
            password = secrets.token_urlsafe(18)
            add_user(db, _NAME, password, is_admin=True)
            file.unlink(missing_ok=True)
            # Never readable by others, not even for a moment.
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as new:
                new.write(f"{_NAME}:{password}\n")
    finally:
        database.close()
    return file
