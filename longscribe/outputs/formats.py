"""Transcripts as files: all formats of a run at once.

txt, tsv and json are byte for byte openai-whisper's, and so are srt and vtt with the subtitle rules
turned off, but for markup in a text and marks of direction. Own code only because whisper/utils.py
cannot be imported without torch (2 s and 200 MB in the parent process);
tests/longscribe/outputs/test_formats.py compares the files with upstream's.
"""

import errno
import json
import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pydantic import TypeAdapter

from longscribe.cache.atomic_file import open_temporary, remove_abandoned_files, temporary_path
from longscribe.errors import OutputError, RecordingError, ResourceError
from longscribe.monitoring.run_record import RunRecord
from longscribe.options import Format, SubtitleRules
from longscribe.outputs.documents import docx, markdown
from longscribe.outputs.page.page import PageSound, page
from longscribe.outputs.page.sound import Sound, encode_copy, link_to
from longscribe.outputs.plot.plot import as_png, plot
from longscribe.outputs.rttm import rttm
from longscribe.outputs.subtitles import ass, clock, lrc, srt, vtt
from longscribe.text.cues import cues, gap_text
from longscribe.text.paragraphs import paragraphs, speaker_of, speakers_of
from longscribe.text.words import one_line, spoken_words
from longscribe.transcript import Segment, Transcript
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

_LONGEST_NAME_BYTES = 200  # of 255, room for a suffix
_SEGMENT = TypeAdapter(Segment)
_PROBE_BYTES = 1 << 16
_SUFFIXES: dict[Format, str] = {
    "words": "words.json",
    "report": "report.svg",
    "report-png": "report.png",
}


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


def written_duration_s(folder: Path, name: str) -> float | None:
    """The duration of the recording whose transcript is in a folder; None where there is none."""
    try:
        written = json.loads((folder / f"{name}.json").read_bytes())
        return float(written["longscribe"]["duration_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_transcript(
    transcript: Transcript,
    folder: Path,
    name: str,
    formats: Sequence[Format],
    rules: SubtitleRules = SubtitleRules(),
    sound: Sound | None = None,
    record: RunRecord = RunRecord(),
) -> list[Path]:
    """Write the formats as `folder/name.<suffix>`; either all of them are replaced or none.

    Args:
        transcript: what is written.
        folder: made if it does not exist.
        name: of the files, without suffix.
        formats: which files.
        rules: layout of the subtitles.
        sound: what the page plays, beside it as `folder/name.page.m4a` where a copy is wanted; None
            for a page without sound.
        record: of the run, for its picture.

    Returns:
        the files written, in the order of `formats`; a copy of the sound is the last.

    Raises:
        OutputError, ResourceError: the folder cannot be written or its disk is full.
    """
    targets = [folder / f"{name}.{_SUFFIXES.get(format_, format_)}" for format_ in formats]
    copy = folder / f"{name}.page.m4a"  # never the name of the recording, which may lie here
    paged = sound if "html" in formats else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned_files(folder)
        with ExitStack() as temporary_files:
            if paged is not None and paged.way != "link":
                temporary_files.callback(temporary_path(copy).unlink, missing_ok=True)
                temporary_files.enter_context(open_temporary(copy))
                paged = _copied(paged, temporary_path(copy))
            for format_, target in zip(formats, targets, strict=True):
                temporary_files.callback(temporary_path(target).unlink, missing_ok=True)
                file = temporary_files.enter_context(open_temporary(target))
                if format_ == "docx":
                    docx(transcript, file)
                elif format_ == "html":
                    audio = _page_audio(paged, folder, copy)
                    pieces = page(transcript, name, rules, audio)
                    file.writelines(piece.encode() for piece in pieces)
                elif format_ == "report":
                    file.write(plot(transcript, record).encode())
                elif format_ == "report-png":
                    file.write(as_png(plot(transcript, record)))
                else:
                    file.writelines(p.encode() for p in render(transcript, format_, rules))
                file.flush()
                os.fsync(file.fileno())
            if paged is not None and paged.way == "copy":
                targets.append(copy)
            for target in targets:
                temporary_path(target).replace(target)
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()  # only if this run made it: a folder with files stays
        raise _cannot_write(folder, error) from None
    return targets


def render(
    transcript: Transcript,
    format_: Format,
    rules: SubtitleRules = SubtitleRules(),
) -> Iterator[str]:
    """The content of a text format, piece by piece; lost audio is marked for people to see."""
    if format_ == "json":
        yield from _json(transcript)
    elif format_ == "words":
        yield from _words(transcript)
    elif format_ == "txt":
        yield from _txt(transcript)
    elif format_ == "tsv":
        yield from _tsv(transcript)
    elif format_ == "rttm":
        yield from rttm(transcript)
    elif format_ == "md":
        yield from markdown(transcript)
    elif format_ == "srt":
        yield from srt(cues(transcript, rules))
    elif format_ == "vtt":
        # Voices are WebVTT's own way to name people: said in the text as well they would be twice.
        without = rules.model_copy(update={"speaker_marks": "none"})
        shown = without if rules.speaker_marks == "names" else rules
        yield from vtt(cues(transcript, shown), voices=rules.speaker_marks != "none")
    elif format_ == "ass":
        yield ass(cues(transcript, rules), transcript.recording)
    elif format_ == "lrc":
        yield from lrc(cues(transcript, rules), transcript.recording, transcript.duration_s)
    else:
        raise ValueError(f"{format_} is no text format")


def printable_lines(transcript: Transcript) -> list[str]:
    """The transcript for a terminal, as openai-whisper prints it when it is verbose."""
    return [
        f"[{clock(line.start_s, '.')} --> {clock(line.end_s, '.')}] "
        + (f"{line.speaker}: " if line.speaker else "")
        + line.text
        for line in _with_gaps(transcript)
    ]


def _copied(sound: Sound, copy: Path) -> Sound:
    """The sound with its copy made, or linked to where the recording has gone since it was read.

    The page then asks for the file: hours of work are not lost for its sake.
    """
    try:
        encode_copy(sound.recording, copy, sound.others)
    except RecordingError:
        return sound._replace(audio="link")
    return sound


def _page_audio(sound: Sound | None, folder: Path, copy: Path) -> PageSound | None:
    """The sound as the page gets it; `copy` is still a temporary file then."""
    if sound is None:
        return None
    href = {"link": link_to(sound.recording.path, folder), "copy": f"./{quote(copy.name)}"}
    return PageSound(
        levels=sound.levels,
        levels_s=sound.levels_s,
        href=href.get(sound.way),
        embedded=temporary_path(copy) if sound.way == "embed" else None,
    )


class _SaidLine(NamedTuple):
    start_s: float
    end_s: float
    text: str
    speaker: str = ""


def _with_gaps(transcript: Transcript) -> list[_SaidLine]:
    lines = [
        _SaidLine(s.start, s.end, one_line(s.text), one_line(speaker_of(s) or ""))
        for s in transcript.segments
    ]
    lines += [_SaidLine(gap.start, gap.end, gap_text(gap)) for gap in transcript.lost]
    return sorted(lines)


def _txt(transcript: Transcript) -> Iterator[str]:
    """A segment a line; a turn's paragraph a line, with its name, where it is known who speaks."""
    if not speakers_of(transcript):
        yield from (f"{line.text}\n" for line in _with_gaps(transcript))
        return
    # At the same places as on the page, which shows all gaps.
    for paragraph in paragraphs(transcript, transcript.gaps):
        if paragraph.gap and paragraph.gap not in transcript.lost:
            continue
        text = gap_text(paragraph.gap) if paragraph.gap else paragraph.text
        yield f"{one_line(paragraph.speaker)}: {text}\n" if paragraph.speaker else f"{text}\n"


def _tsv(transcript: Transcript) -> Iterator[str]:
    """Tab-separated, as openai-whisper has it; who speaks is a last column, where that is known."""
    named = bool(speakers_of(transcript))
    yield "start\tend\ttext" + "\tspeaker" * named + "\n"
    for line in _with_gaps(transcript):
        cells = [str(round(1000 * line.start_s)), str(round(1000 * line.end_s)), _cell(line.text)]
        yield "\t".join([*cells, *[_cell(line.speaker)] * named]) + "\n"


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


def _words(transcript: Transcript) -> Iterator[str]:
    """One JSON object: every word with its times, and the probability of those the model timed."""
    head = {"recording": transcript.recording, "language": transcript.language}
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "words": ['
    first = True
    for segment in transcript.segments:
        for word in spoken_words(segment):
            row: dict[str, object] = {
                "word": word.text.strip(),
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
                "probability": word.probability and round(word.probability, 3),
                "segment": segment.id,
            }
            if speaker := speaker_of(segment):
                row["speaker"] = speaker
            yield ("\n" if first else ",\n") + json.dumps(row, ensure_ascii=False)
            first = False
    gaps = [{"start": g.start, "end": g.end, "reason": g.reason} for g in transcript.lost]
    yield f'], "gaps": {json.dumps(gaps, ensure_ascii=False)}}}\n'


def _cell(text: str) -> str:
    return text.replace("\t", " ")


def _cannot_write(folder: Path, error: OSError) -> OutputError | ResourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            translated(
                "the disk of the output folder {folder!r} is full; "
                "make room or choose another folder with --output-dir."
            ).format(folder=str(folder))
        )
    return OutputError(
        translated(
            "the output folder {folder!r} cannot be written: {reason}; "
            "choose another folder with --output-dir."
        ).format(folder=str(folder), reason=told(error))
    )
