"""Transcripts to read and to work on: Markdown and Word documents."""

import re
import unicodedata
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from longscribe.text.cues import gap_text
from longscribe.text.direction import runs_right_to_left
from longscribe.text.paragraphs import Paragraph, paragraphs
from longscribe.text.words import one_line
from longscribe.transcript import Transcript, format_time

if TYPE_CHECKING:
    from docx.text.paragraph import Paragraph as WordParagraph

# What CommonMark, its tables, formulas and strike-through could read as markup anywhere in a line.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#|~$&!^=])")


def markdown(transcript: Transcript) -> Iterator[str]:
    """Markdown: the recording as the title, then paragraphs with their times."""
    yield f"# {escaped(transcript.recording)}\n\n{escaped(_described(transcript))}\n"
    for paragraph in paragraphs(transcript, transcript.lost):
        text = escaped(_text(paragraph))
        if paragraph.gap:
            text = f"*{text}*"
        speaker = f"**{escaped(paragraph.speaker)}:** " if paragraph.speaker else ""
        yield f"\n**{format_time(int(paragraph.start_s))}** {speaker}{text}\n"


def docx(transcript: Transcript, file: IO[bytes]) -> None:
    """Write a Word document: the recording as the title, then paragraphs with their times."""
    from docx import Document
    from docx.shared import Pt, RGBColor

    document = Document()
    properties = document.core_properties
    properties.title, properties.author, properties.comments = (
        _printable(transcript.recording),
        "Longscribe",
        "",
    )
    properties.language = transcript.language
    document.add_heading(_printable(transcript.recording), level=0)
    document.add_paragraph(_printable(_described(transcript)), style="Subtitle")
    for paragraph in paragraphs(transcript, transcript.lost):
        block = document.add_paragraph()
        time = block.add_run(f"{format_time(int(paragraph.start_s))}  ")
        time.font.size = Pt(8)
        time.font.color.rgb = RGBColor(0x6B, 0x6B, 0x6B)
        if paragraph.speaker:
            block.add_run(f"{_printable(paragraph.speaker)}: ").bold = True
        said = _printable(_text(paragraph))
        block.add_run(said).italic = bool(paragraph.gap)
        if runs_right_to_left(said):
            _set_right_to_left(block)
    document.save(file)


def _set_right_to_left(block: "WordParagraph") -> None:
    """Word goes by what a document says, not by its letters."""
    from docx.oxml import OxmlElement

    # In the schema's order: it comes before these (ECMA-376, CT_PPrBase), as far as they are here.
    block._p.get_or_add_pPr().insert_element_before(
        OxmlElement("w:bidi"), *("w:spacing", "w:ind", "w:jc", "w:rPr")
    )
    for run in block.runs:
        run.font.rtl = runs_right_to_left(run.text)


def _text(paragraph: Paragraph) -> str:
    if paragraph.gap:
        span = f"{format_time(paragraph.gap.start)}-{format_time(paragraph.gap.end)}"
        return f"{gap_text(paragraph.gap)} {span}"
    return paragraph.text


def _described(transcript: Transcript) -> str:
    parts = [format_time(transcript.duration_s), transcript.language, transcript.model]
    return " · ".join(part for part in parts if part)


def escaped(text: str) -> str:
    """Text on one line that Markdown takes literally."""
    return _MARKUP.sub(r"\\\1", _printable(one_line(text)))


def _printable(text: str) -> str:
    """Text without control characters and half surrogates, which XML cannot hold."""
    return "".join(
        " " if c in "\t\n" else c
        for c in text
        if c in "\t\n" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in "\ufffe\uffff")
    )
