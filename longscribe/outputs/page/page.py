"""The page as one HTML file: template, style and script beside this file, put together with a
transcript.

Nothing in a transcript can run: it travels as JSON with `<`, `>` and `&` escaped (Jinja's
`tojson`), the script puts it on the page as text, and a Content-Security-Policy lets only our own
script run.
"""

import base64
import hashlib
import math
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from longscribe.languages import LANGUAGES
from longscribe.options import SubtitleRules
from longscribe.text.paragraphs import Paragraph, paragraphs
from longscribe.text.words import one_line, spoken_words
from longscribe.transcript import Segment, Transcript, format_time

# In this order they are one script; each is about one thing.
_SCRIPTS = (
    *("data.js", "text.js", "player.js", "waveform.js", "search.js", "cues.js", "editing.js"),
    "main.js",
)

_SHORTEST_SILENCE_S = 1.0
_SILENCES_DRAWN = 2000  # shorter parts of the recording are narrower than a pixel
_EMBED_BLOCK_BYTES = 3 << 18  # a multiple of 3, so that blocks of base64 can follow each other


class PageSound(NamedTuple):
    """The sound of a page: the address of the recording or its copy, or a file to put inside."""

    levels: bytes
    levels_s: float
    href: str | None
    embedded: Path | None


def page(
    transcript: Transcript, name: str, rules: SubtitleRules, sound: PageSound | None
) -> Iterator[str]:
    """The page, piece by piece.

    Args:
        transcript: what it shows.
        name: of files saved from it, without suffix.
        rules: layout of subtitles saved from it.
        sound: what it plays; None for a page without sound.
    """
    # Only here: other runs need not load it.
    from jinja2 import Environment
    from markupsafe import Markup

    style = _source("page.css")
    script = "".join(_source(part) for part in _SCRIPTS)
    template = Environment(autoescape=True).from_string(_source("page.html"))
    return template.generate(
        title=_title(transcript),
        language=transcript.language,
        facts=_facts(transcript),
        described=_described(transcript),
        data=_data(transcript, name, rules, sound),
        embedded=_base64(sound.embedded) if sound and sound.embedded else None,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _data(
    transcript: Transcript, name: str, rules: SubtitleRules, sound: PageSound | None
) -> dict[str, Any]:
    gathered = list(paragraphs(transcript, transcript.gaps))
    shortest_s = max(_SHORTEST_SILENCE_S, transcript.duration_s / _SILENCES_DRAWN)
    return {
        "name": name,
        "duration": transcript.duration_s,
        "language": transcript.language,
        "segments": [_segment(segment) for segment in transcript.segments],
        "paragraphs": [_paragraph(paragraph) for paragraph in gathered],
        "speakers": list(dict.fromkeys(p.speaker for p in gathered if p.speaker)),
        "seams": transcript.seams_s,
        "gaps": [[gap.start, gap.end, gap.reason] for gap in transcript.gaps],
        "silences": [
            [round(stretch.start, 2), round(stretch.end, 2)]
            for stretch in transcript.stretches
            if stretch.kind == "silence" and stretch.duration_s >= shortest_s
        ],
        "rules": rules.model_dump(include=set(SubtitleRules.model_fields)),
        "lost": [[gap.start, gap.end, gap.reason] for gap in transcript.lost],
        "sound": sound and sound.href,
        "levels": base64.b64encode(sound.levels).decode() if sound else "",
        "levelsSeconds": sound.levels_s if sound else 0.0,
    }


def _segment(segment: Segment) -> list[Any]:
    """[start, end, text, confidence in per cent, words]: a row, as there are thousands."""
    space = " " if segment.text[:1].isspace() else ""
    confidence = round(100 * math.exp(min(0.0, segment.avg_logprob)))
    row = [segment.start, segment.end, space + one_line(segment.text), confidence]
    return [*row, _timed_words(segment)] if segment.words else row


def _timed_words(segment: Segment) -> list[int]:
    """Four numbers a word: its length with the space before it, in JavaScript's UTF-16 units; its
    start after the segment's and its duration in ms; its probability in per cent, -1 for none.
    """
    numbers = []
    for word in spoken_words(segment):
        start, end = (
            round(1000 * (word.start_s - segment.start)),
            round(1000 * (word.end_s - segment.start)),
        )
        percent = -1 if word.probability is None else round(100 * word.probability)
        numbers += [len(word.text.encode("utf-16-le")) // 2, start, end - start, percent]
    return numbers


def _paragraph(paragraph: Paragraph) -> dict[str, Any]:
    if paragraph.gap:
        return {"gap": [paragraph.gap.start, paragraph.gap.end, paragraph.gap.reason]}
    row: dict[str, Any] = {"count": len(paragraph.segments)}
    return row | {"speaker": paragraph.speaker} if paragraph.speaker else row


def _title(transcript: Transcript) -> str:
    return Path(transcript.recording).stem or transcript.recording or "Transcript"


def _described(transcript: Transcript) -> str:
    language = _language(transcript.language)
    words = sum(len(segment.text.split()) for segment in transcript.segments)
    return " · ".join(
        part for part in (format_time(transcript.duration_s), language, f"{words:,} words") if part
    )


def _facts(transcript: Transcript) -> list[tuple[str, str]]:
    seconds = {"speech": 0.0, "silence": 0.0, "gap": 0.0}
    for stretch in transcript.stretches:
        seconds[stretch.kind] += stretch.duration_s
    languages = dict.fromkeys(code for code in transcript.chunk_languages if code)
    facts = [
        ("Recording", transcript.recording),
        ("Length", format_time(transcript.duration_s)),
        ("Language", ", ".join(map(_language, languages or [transcript.language]))),
        (
            "Model",
            f"{transcript.model}, at {transcript.speed:g} x tempo" if transcript.model else "",
        ),
        ("Chunks", str(len(transcript.seams_s) + 1)),
        ("Segments", f"{len(transcript.segments):,}, {transcript.improved_segments} improved"),
    ]
    if transcript.stretches:
        facts += [
            ("Speech", format_time(seconds["speech"])),
            ("Silence", format_time(seconds["silence"])),
            ("Without text", f"{format_time(seconds['gap'])} in {len(transcript.gaps)} place(s)"),
        ]
    return [(label, value) for label, value in facts if value]


def _language(code: str) -> str:
    return LANGUAGES.get(code, code).title()


def _base64(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        while block := file.read(_EMBED_BLOCK_BYTES):
            yield base64.b64encode(block).decode()


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
