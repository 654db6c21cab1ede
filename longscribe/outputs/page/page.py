"""The page as one HTML file: template, style and script beside this file, put together with a
transcript.

Nothing in a transcript can run: it travels as JSON with `<`, `>` and `&` escaped (Jinja's
`tojson`), the script puts it on the page as text, and a Content-Security-Policy lets only our own
script run.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from longscribe.languages import language_name
from longscribe.options import SubtitleRules
from longscribe.text.cues import reason_shown
from longscribe.text.paragraphs import Paragraph, paragraphs
from longscribe.text.phrases import phrases
from longscribe.text.words import SpokenWord, one_line, sets_no_spaces, spoken_words
from longscribe.transcript import Segment, Stretch, Transcript, format_time
from longscribe.wording.catalog import translated, ui_language

# In this order they are one script; each is about one thing.
_SCRIPTS = (
    *("data.js", "speakers.js", "text.js", "player.js", "waveform.js", "search.js", "cues.js"),
    *("editing.js", "library.js", "main.js"),
)

# How the script marks its messages.
_MESSAGE = re.compile(r"""\btranslated\(("(?:[^"\\]|\\.)*")""")

_SHORTEST_SILENCE_S = 1.0
_SILENCES_DRAWN = 2000  # shorter parts of the recording are narrower than a pixel
_EMBED_BLOCK_BYTES = 3 << 18  # a multiple of 3, so that blocks of base64 can follow each other


class PageSound(NamedTuple):
    """The sound of a page: the address of the recording or its copy, or a file to put inside."""

    levels: bytes
    levels_s: float
    href: str | None
    embedded: Path | None


class LibraryLink(NamedTuple):
    """The library that a page is shown in.

    Attributes:
        home: address of the recording there.
        save: where corrections are sent; empty for who may only read.
        csrf_token: that is sent along.
        version: of the transcript on the page, by its number.
    """

    home: str
    save: str
    csrf_token: str
    version: int


def page(
    transcript: Transcript,
    name: str,
    rules: SubtitleRules,
    sound: PageSound | None,
    library: LibraryLink | None = None,
) -> Iterator[str]:
    """The page, piece by piece.

    Args:
        transcript: what it shows.
        name: of files saved from it, without suffix.
        rules: layout of subtitles saved from it.
        sound: what it plays; None for a page without sound.
        library: that it is shown in; None for a page in a file.
    """
    # Only here: other runs need not load it.
    from jinja2 import Environment
    from markupsafe import Markup

    style = _source("page.css")
    script = "".join(_source(part) for part in _SCRIPTS)
    environment = Environment(autoescape=True)
    # Messages in the template are HTML of our own, as their translations are.
    environment.globals["_"] = lambda message: Markup(translated(message))
    template = environment.from_string(_source("page.html"))
    return template.generate(
        title=_title(transcript),
        language=transcript.language,
        facts=_facts(transcript),
        described=_described(transcript),
        ui_language=ui_language().replace("_", "-"),
        data=_data(transcript, name, rules, sound)
        | {"messages": _messages(script), "library": library and library._asdict()},
        library=library,
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
        "segments": [_segment(segment, transcript.language) for segment in transcript.segments],
        "paragraphs": [_paragraph(paragraph) for paragraph in gathered],
        "speakers": list(dict.fromkeys(p.speaker for p in gathered if p.speaker)),
        "seams": transcript.seams_s,
        "gaps": [_gap(gap) for gap in transcript.gaps],
        "silences": [
            [round(stretch.start, 2), round(stretch.end, 2)]
            for stretch in transcript.stretches
            if stretch.kind == "silence" and stretch.duration_s >= shortest_s
        ],
        "rules": rules.model_dump(include=set(SubtitleRules.model_fields)),
        "lost": [_gap(gap) for gap in transcript.lost],
        "sound": sound and sound.href,
        "levels": base64.b64encode(sound.levels).decode() if sound else "",
        "levelsSeconds": sound.levels_s if sound else 0.0,
    }


def _segment(segment: Segment, main_language: str) -> list[Any]:
    """[start, end, text, confidence in per cent, words, lengths of phrases]: a row, as there are
    thousands. Words are there where they were timed, phrases in scripts without spaces.
    """
    text = one_line(segment.text)
    space = " " if segment.text[:1].isspace() else ""
    confidence = round(100 * math.exp(min(0.0, segment.avg_logprob)))
    row = [segment.start, segment.end, space + text, confidence]
    unspaced = sets_no_spaces(text)
    if not (segment.words or unspaced):
        return row
    words = spoken_words(segment)
    row.append(_timed_words(segment, words) if segment.words else None)
    if unspaced:
        language = segment.language or main_language
        row.append([_units("".join(w.text for w in phrase)) for phrase in phrases(words, language)])
    return row


def _timed_words(segment: Segment, words: tuple[SpokenWord, ...]) -> list[int]:
    """Four numbers a word: its length with the space before it; its start after the segment's and
    its duration in ms; its probability in per cent, -1 for none.
    """
    numbers = []
    for word in words:
        start, end = (
            round(1000 * (word.start_s - segment.start)),
            round(1000 * (word.end_s - segment.start)),
        )
        percent = -1 if word.probability is None else round(100 * word.probability)
        numbers += [_units(word.text), start, end - start, percent]
    return numbers


def _units(text: str) -> int:
    """A text's length in UTF-16 units, as JavaScript counts."""
    return len(text.encode("utf-16-le")) // 2


def _gap(gap: Stretch) -> list[Any]:
    return [gap.start, gap.end, reason_shown(gap)]


def _messages(script: str) -> dict[str, str]:
    """What the script says, for a reader of another language than its own."""
    found: list[str] = [json.loads(literal) for literal in _MESSAGE.findall(script)]
    return {message: told for message in found if (told := translated(message)) != message}


def _paragraph(paragraph: Paragraph) -> dict[str, Any]:
    if paragraph.gap:
        return {"gap": _gap(paragraph.gap)}
    row: dict[str, Any] = {"count": len(paragraph.segments)}
    return row | {"speaker": paragraph.speaker} if paragraph.speaker else row


def _title(transcript: Transcript) -> str:
    return Path(transcript.recording).stem or transcript.recording or translated("Transcript")


def _described(transcript: Transcript) -> str:
    count = sum(len(segment.text.split()) for segment in transcript.segments)
    words = translated("{count:,} words").format(count=count)
    parts = (format_time(transcript.duration_s), _language(transcript.language), words)
    return " · ".join(part for part in parts if part)


def _facts(transcript: Transcript) -> list[tuple[str, str]]:
    seconds = {"speech": 0.0, "silence": 0.0, "gap": 0.0}
    for stretch in transcript.stretches:
        seconds[stretch.kind] += stretch.duration_s
    model = translated("{model}, at {speed:g} x tempo")
    segments = translated("{count:,}, {improved} improved")
    facts = [
        (translated("Recording"), transcript.recording),
        (translated("Length"), format_time(transcript.duration_s)),
        (translated("Language"), ", ".join(map(_language, transcript.languages or [""]))),
        (
            translated("Model"),
            model.format(model=transcript.model, speed=transcript.speed)
            if transcript.model
            else "",
        ),
        (translated("Chunks"), str(len(transcript.seams_s) + 1)),
        (
            translated("Segments"),
            segments.format(count=len(transcript.segments), improved=transcript.improved_segments),
        ),
    ]
    if transcript.stretches:
        without = translated("{time} in {count} place(s)")
        facts += [
            (translated("Speech"), format_time(seconds["speech"])),
            (translated("Silence"), format_time(seconds["silence"])),
            (
                translated("Without text"),
                without.format(time=format_time(seconds["gap"]), count=len(transcript.gaps)),
            ),
        ]
    return [(label, value) for label, value in facts if value]


def _language(code: str) -> str:
    return language_name(code).title()


def _base64(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        while block := file.read(_EMBED_BLOCK_BYTES):
            yield base64.b64encode(block).decode()


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
