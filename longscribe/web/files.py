"""Files of recordings: where they are, under which names, and that they go when they should."""

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Final

from longscribe.outputs.formats import output_name
from longscribe.web.settings import WebSettings

_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")
_ID: Final = re.compile(r"[0-9a-f]{32}")


def safe_name(name: str) -> str:
    """A file name as somebody gave it, without what is a path, a control character or too long."""
    last = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name
    suffix = PurePosixPath(last).suffix
    suffix = suffix if _SUFFIX.fullmatch(suffix) else ""
    return output_name(Path(last)) + suffix.lower()


def is_id(text: str) -> bool:
    """Whether it is an identifier, as recordings have them."""
    return _ID.fullmatch(text) is not None


def upload_folder(settings: WebSettings, recording_id: str) -> Path:
    """The folder of a recording's sound."""
    assert _ID.fullmatch(recording_id)
    return settings.uploads / recording_id


def transcript_folder(settings: WebSettings, recording_id: str) -> Path:
    """The folder that a recording's run writes its own folder into."""
    assert _ID.fullmatch(recording_id)
    return settings.transcripts / "web" / recording_id


def words_folder(transcripts: Path) -> Path:
    """The folder in which workers find word of recordings that were deleted."""
    return transcripts / "web" / ".deleted"


def remove_files(settings: WebSettings, recording_id: str) -> None:
    """Remove a recording's sound and transcripts from the disk."""
    for folder in (
        upload_folder(settings, recording_id),
        transcript_folder(settings, recording_id),
    ):
        shutil.rmtree(folder, ignore_errors=True)
    for file in settings.uploads.glob(f"tus/*/{recording_id}*"):
        file.unlink(missing_ok=True)
