"""What the web application is told by its environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from longscribe.errors import OptionError
from longscribe.options import parse_bytes
from longscribe.wording.catalog import translated

_LARGEST_UPLOAD: Final = "20GB"


class WebSettings(BaseModel):
    """Where things are, and what is allowed.

    Attributes:
        database_url: of SQLAlchemy.
        uploads: folder of what people send; workers read it under the same path.
        transcripts: folder that runs write to; the same on the workers' machines.
        url: what people call the application, without a slash at the end; empty where unknown.
        model: for who names none.
        largest_upload_bytes: of one recording, where a key says nothing smaller.
        keep_clips_days: how long recordings of the OpenAI and ASR routes are kept.
        session_days: how long a login lasts.
        clips_queue: work queue of short recordings that somebody waits for.
        idle_s: an upload that sends nothing for so long is ended.
        hook_command: run after each finished job; empty for none.
        hook_url: told of each finished job; empty for none.
        oidc_issuer: of logins by OpenID Connect; empty for none.
        oidc_client_id: what the application is called there.
        oidc_client_secret: of the application; empty where it has none.
        oidc_name: on the button of the login page.
        oidc_new_users: whether who comes for the first time gets an account.
    """

    model_config = ConfigDict(frozen=True)

    database_url: str
    uploads: Path
    transcripts: Path
    url: str = ""
    model: str = "turbo"
    largest_upload_bytes: int = parse_bytes(_LARGEST_UPLOAD)
    keep_clips_days: float = 1.0
    session_days: float = 14.0
    clips_queue: str = "clips"
    idle_s: float = 60.0
    hook_command: str = ""
    hook_url: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_name: str = "OpenID Connect"
    oidc_new_users: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "WebSettings":
        """The settings; folders are made absolute, not made.

        LONGSCRIBE_WEB_DATABASE, LONGSCRIBE_UPLOADS, LONGSCRIBE_TRANSCRIPTS, LONGSCRIBE_WEB_URL,
        LONGSCRIBE_MODEL, LONGSCRIBE_LARGEST_UPLOAD, LONGSCRIBE_KEEP_CLIPS_DAYS,
        LONGSCRIBE_SESSION_DAYS, LONGSCRIBE_CLIPS_QUEUE, LONGSCRIBE_HOOK_COMMAND,
        LONGSCRIBE_HOOK_URL, LONGSCRIBE_OIDC_ISSUER, LONGSCRIBE_OIDC_CLIENT_ID,
        LONGSCRIBE_OIDC_CLIENT_SECRET, LONGSCRIBE_OIDC_NAME, LONGSCRIBE_OIDC_NEW_USERS.

        Raises:
            OptionError: a variable has no meaning.
        """
        folder = Path("~/longscribe").expanduser()
        uploads = _path(environment, "LONGSCRIBE_UPLOADS", folder / "media" / "uploads")
        database = environment.get("LONGSCRIBE_WEB_DATABASE", "").strip()
        return cls(
            # Not among the media: whoever starts runs may read those.
            database_url=database or f"sqlite:///{folder / 'web.sqlite'}",
            uploads=uploads,
            transcripts=_path(environment, "LONGSCRIBE_TRANSCRIPTS", folder / "transcripts"),
            url=environment.get("LONGSCRIBE_WEB_URL", "").strip().rstrip("/"),
            model=environment.get("LONGSCRIBE_MODEL", "").strip() or "turbo",
            largest_upload_bytes=_bytes(environment, "LONGSCRIBE_LARGEST_UPLOAD"),
            keep_clips_days=_days(environment, "LONGSCRIBE_KEEP_CLIPS_DAYS", 1.0),
            session_days=_days(environment, "LONGSCRIBE_SESSION_DAYS", 14.0),
            clips_queue=environment.get("LONGSCRIBE_CLIPS_QUEUE", "").strip() or "clips",
            hook_command=environment.get("LONGSCRIBE_HOOK_COMMAND", "").strip(),
            hook_url=environment.get("LONGSCRIBE_HOOK_URL", "").strip(),
            oidc_issuer=environment.get("LONGSCRIBE_OIDC_ISSUER", "").strip(),
            oidc_client_id=environment.get("LONGSCRIBE_OIDC_CLIENT_ID", "").strip(),
            oidc_client_secret=environment.get("LONGSCRIBE_OIDC_CLIENT_SECRET", "").strip(),
            oidc_name=environment.get("LONGSCRIBE_OIDC_NAME", "").strip() or "OpenID Connect",
            oidc_new_users=_switch(environment, "LONGSCRIBE_OIDC_NEW_USERS"),
        )


def _path(environment: Mapping[str, str], name: str, default: Path) -> Path:
    given = environment.get(name, "").strip()
    if "://" in given:
        raise OptionError(
            translated(
                "{name} is a URL; the web application needs a folder of its machine."
            ).format(name=name)
        )
    return (Path(given).expanduser() if given else default).absolute()


def _switch(environment: Mapping[str, str], name: str) -> bool:
    given = environment.get(name, "").strip().lower() or "on"
    if given not in ("on", "off"):
        raise OptionError(translated("{name} is on or off.").format(name=name))
    return given == "on"


def _bytes(environment: Mapping[str, str], name: str) -> int:
    try:
        return parse_bytes(environment.get(name) or _LARGEST_UPLOAD)
    except ValueError as error:
        raise OptionError(f"{name}: {error}.") from None


def _days(environment: Mapping[str, str], name: str, default: float) -> float:
    given = environment.get(name, "").strip()
    try:
        days = float(given) if given else default
    except ValueError:
        days = -1.0
    if not 0 < days < 36_500:
        raise OptionError(translated("{name} is no number of days.").format(name=name))
    return days
