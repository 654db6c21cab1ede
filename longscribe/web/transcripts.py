"""Transcripts as runs wrote them, read again, and in any format."""

import io
import json
from pathlib import Path
from typing import Any, Final

from longscribe.options import FORMATS, Format, SubtitleRules
from longscribe.outputs.documents import docx
from longscribe.outputs.formats import render
from longscribe.outputs.page.page import page
from longscribe.transcript import Transcript
from longscribe.web.tables import Recording

MEDIA_TYPES: Final[dict[Format, str]] = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "json": "application/json",
    "words": "application/json",
    "ass": "text/x-ssa; charset=utf-8",
    "lrc": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html; charset=utf-8",
}
RENDERED: Final[tuple[Format, ...]] = tuple(name for name in FORMATS if name in MEDIA_TYPES)


def transcript_file(recording: Recording) -> Path:
    """Where a recording's run writes its transcript as JSON; whole or not at all."""
    return Path(recording.folder) / f"{recording.file_stem}.json"


def read_transcript(path: Path) -> Transcript:
    """The transcript that a run wrote as JSON.

    Raises:
        OSError: there is none.
        ValueError: it is none.
    """
    return transcript_of(json.loads(path.read_bytes()))


def transcript_of(written: dict[str, Any]) -> Transcript:
    """The transcript of a JSON file's content.

    Raises:
        ValueError: it is none.
    """
    try:
        rest = dict(written["longscribe"])
        fields = {"segments": written["segments"], "language": written["language"], **rest}
    except (KeyError, TypeError):
        raise ValueError("this is no transcript of Longscribe's") from None
    # A worker of a later version may have written more.
    known = {name: fields[name] for name in fields if name in Transcript.model_fields}
    return Transcript.model_validate(known)


def as_json(transcript: Transcript) -> str:
    """The transcript in the form of the JSON file."""
    return "".join(render(transcript, "json"))


def rendered(
    transcript: Transcript, format_: Format, rules: SubtitleRules = SubtitleRules()
) -> bytes:
    """A transcript in any of `RENDERED`; the page is without sound."""
    if format_ == "docx":
        file = io.BytesIO()
        docx(transcript, file)
        return file.getvalue()
    if format_ == "html":
        return "".join(page(transcript, Path(transcript.recording).stem, rules, None)).encode()
    return "".join(render(transcript, format_, rules)).encode()
