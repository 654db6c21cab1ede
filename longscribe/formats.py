"""Transcripts as txt, srt, vtt, tsv and json, byte for byte as openai-whisper writes them.

Own code only because whisper/utils.py cannot be imported without torch (2 s and 200 MB in the
parent process); tests/longscribe/test_formats.py compares the files with upstream's.
"""

import errno
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from pydantic import TypeAdapter

from longscribe.drafts import draft_path, open_draft, remove_abandoned_drafts
from longscribe.errors import OutputError, ResourceError
from longscribe.options import Format
from longscribe.transcript import Segment, Stretch, Transcript

_LONGEST_NAME_BYTES = 200  # of 255, room for a suffix
_SEGMENT = TypeAdapter(Segment)
_PROBE_BYTES = 1 << 16


def output_name(recording: Path) -> str:
    """The folder and file name of a recording's outputs: its own, made printable and safe."""
    stem = recording.stem if recording.stem.strip(". ") else recording.name
    name = "".join("_" if unicodedata.category(c)[0] == "C" else c for c in stem).strip()
    name = name.encode(errors="replace")[:_LONGEST_NAME_BYTES].decode(errors="ignore")
    return name.strip(". ") or "recording"


def check_writable(folder: Path) -> None:
    """Try to write in the output folder, before hours of work; leaves nothing behind.

    Raises:
        OutputError, ResourceError: it cannot be made or written.
    """
    probe = folder / f".longscribe-{os.getpid()}.tmp"
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(bytes(_PROBE_BYTES))  # a full disk takes an empty file
    except OSError as error:
        raise _cannot_write(folder, error) from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
            for parent in made:
                parent.rmdir()


def write_transcript(
    transcript: Transcript, folder: Path, name: str, formats: Sequence[Format]
) -> list[Path]:
    """Write the formats as `folder/name.<format>`; either all of them are replaced or none.

    Raises:
        OutputError, ResourceError: the folder cannot be written or its disk is full.
    """
    targets = [folder / f"{name}.{format_}" for format_ in formats]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned_drafts(folder)
        with ExitStack() as drafts:
            for format_, target in zip(formats, targets, strict=True):
                drafts.callback(draft_path(target).unlink, missing_ok=True)
                file = drafts.enter_context(open_draft(target))
                file.writelines(render(transcript, format_))
                file.flush()
                os.fsync(file.fileno())
            for target in targets:
                draft_path(target).replace(target)
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()  # only if this run made it: a folder with files stays
        raise _cannot_write(folder, error) from None
    return targets


def render(transcript: Transcript, format_: Format) -> Iterator[str]:
    """The content of one output file, piece by piece; lost audio is marked for people to see."""
    if format_ == "json":
        yield from _json(transcript)
        return
    if format_ == "vtt":
        yield "WEBVTT\n\n"
    if format_ == "tsv":
        yield "start\tend\ttext\n"
    lines = _with_gaps(transcript.segments, transcript.lost)
    for number, (start, end, text) in enumerate(lines, start=1):
        if format_ == "txt":
            yield f"{text}\n"
        elif format_ == "vtt":
            yield f"{_clock(start, '.')} --> {_clock(end, '.')}\n{_cue(text)}\n\n"
        elif format_ == "srt":
            span = f"{_clock(start, ',', hours=True)} --> {_clock(end, ',', hours=True)}"
            yield f"{number}\n{span}\n{_cue(text)}\n\n"
        else:
            yield f"{round(1000 * start)}\t{round(1000 * end)}\t{_cell(text)}\n"


def printable_lines(transcript: Transcript) -> list[str]:
    """The transcript for a terminal, as openai-whisper prints it when it is verbose."""
    return [
        f"[{_clock(start, '.')} --> {_clock(end, '.')}] {text}"
        for start, end, text in _with_gaps(transcript.segments, transcript.lost)
    ]


def _with_gaps(
    segments: Iterable[Segment], gaps: Iterable[Stretch]
) -> Iterable[tuple[float, float, str]]:
    lines = [(s.start, s.end, s.text.strip()) for s in segments]
    lines += [(g.start, g.end, f"[gap: {g.reason}]") for g in gaps]
    return sorted(lines)


def _json(transcript: Transcript) -> Iterator[str]:
    """One JSON object, segment by segment: the objects of ten hours at once would be many MB."""
    text = json.dumps(transcript.text, ensure_ascii=False)
    yield f'{{"text": {text}, "segments": ['
    for number, segment in enumerate(transcript.segments):
        yield ("" if number == 0 else ", ") + _SEGMENT.dump_json(
            segment, exclude_none=True
        ).decode()
    rest = transcript.model_dump_json(exclude={"segments", "language"})
    yield f'], "language": {json.dumps(transcript.language)}, "longscribe": {rest}}}\n'


def _clock(seconds: float, decimal_mark: str, hours: bool = False) -> str:
    milliseconds = round(seconds * 1000.0)
    whole, milliseconds = divmod(milliseconds, 1000)
    shown = f"{whole // 60 % 60:02d}:{whole % 60:02d}{decimal_mark}{milliseconds:03d}"
    return f"{whole // 3600:02d}:{shown}" if hours or whole >= 3600 else shown


def _cue(text: str) -> str:
    return text.replace("-->", "->")  # an arrow would start a new cue


def _cell(text: str) -> str:
    return text.replace("\t", " ")


def _cannot_write(folder: Path, error: OSError) -> OutputError | ResourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            f"the disk of the output folder {str(folder)!r} is full; "
            "make room or choose another folder with --output-dir."
        )
    return OutputError(
        f"the output folder {str(folder)!r} cannot be written: {error.strerror}; "
        "choose another folder with --output-dir."
    )
