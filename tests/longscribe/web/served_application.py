"""The web application in a process of its own, with a backend that is done at once."""

import sys
from pathlib import Path

import uvicorn

from longscribe.web.application import create_application
from longscribe.web.keys import add_key
from longscribe.web.settings import WebSettings
from longscribe.web.users import add_user
from tests.longscribe.web.fake_backend import FakeBackend


def main(folder: Path, port: int) -> None:
    """Serve; the key is the first line that is printed."""
    settings = WebSettings(
        database_url=f"sqlite:///{folder / 'web.sqlite'}",
        uploads=folder / "uploads",
        transcripts=folder / "transcripts",
        model="demo",
    )
    application = create_application(settings, FakeBackend())
    with application.state.services.database.begin() as db:
        print(add_key(db, add_user(db, "ana"), "many"), flush=True)
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
