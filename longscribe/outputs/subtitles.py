"""Subtitles and lyrics: srt, vtt, ass with karaoke, lrc.

srt and vtt are openai-whisper's own layout. Text comes from a model and from the user's glossary,
so whatever a player would take for markup is made harmless in each format's own way.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from longscribe.text.cues import Cue, Line, line_text
from longscribe.text.direction import directed, marked_right_to_left, runs_right_to_left

_ASS_WIDTH, _ASS_HEIGHT = 1280, 720  # the script's own pixels: players scale them
_ASS_FONT_PX, _ASS_MARGIN_PX = 48, 40
_ASS_RIGHT_TO_LEFT = "Right to left"
_TAG_BEGINS = re.compile(r"<(?=[a-z/!?])", re.IGNORECASE)
_LRC_PAUSE_S = 2.0  # a longer pause gets an empty line, which clears the last one


def clock(seconds: float, decimal_mark: str, hours: bool = False) -> str:
    """A time as `01:02.345`, or `01:01:02.345` from an hour on or if `hours`."""
    whole, milliseconds = divmod(round(seconds * 1000.0), 1000)
    shown = f"{whole // 60 % 60:02d}:{whole % 60:02d}{decimal_mark}{milliseconds:03d}"
    return f"{whole // 3600:02d}:{shown}" if hours or whole >= 3600 else shown


def srt(cues: Iterable[Cue]) -> Iterator[str]:
    """SubRip, cue by cue."""
    for number, cue in enumerate(cues, start=1):
        span = f"{clock(cue.start_s, ',', hours=True)} --> {clock(cue.end_s, ',', hours=True)}"
        yield f"{number}\n{span}\n{_without_tags(_shown(cue))}\n\n"


def vtt(cues: Iterable[Cue], *, voices: bool = True) -> Iterator[str]:
    """WebVTT, cue by cue; `&` and `<` are escaped, as the browser parses markup in cues.

    With `voices` each line is in a voice span of who says it.
    """
    yield "WEBVTT\n\n"
    for cue in cues:
        text = _shown(cue).replace("&", "&amp;").replace("<", "&lt;")
        if cue.speakers and voices:
            text = "\n".join(
                f"{_voice(speaker)}{said}</v>"
                for speaker, said in _by_speaker(cue.speakers, text.split("\n"))
            )
        yield f"{clock(cue.start_s, '.')} --> {clock(cue.end_s, '.')}\n{text}\n\n"


def ass(cues: Iterable[Cue], title: str) -> str:
    """Advanced SubStation Alpha, each word coloured as it is spoken."""
    # Only here: other runs need not load it.
    from pysubs2 import Alignment, Color, SSAEvent, SSAFile, SSAStyle
    from pysubs2.formats.substation import SubstationFormat

    class LongFormat(SubstationFormat):
        """Times past ten hours: pysubs2 stops at 9:59:59, where players and FFmpeg read on."""

        @staticmethod
        def ms_to_timestamp(requested_ms: int) -> str:
            whole, hundredths = divmod(round(requested_ms / 10), 100)
            clock = f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
            return f"{clock}.{hundredths:02d}"

    file = SSAFile()
    file.info.update(
        {
            "Title": " ".join(title.split()),
            "PlayResX": str(_ASS_WIDTH),
            "PlayResY": str(_ASS_HEIGHT),
            "ScaledBorderAndShadow": "yes",
            "WrapStyle": "2",  # only our own line breaks
        }
    )
    file.styles["Default"] = SSAStyle(
        fontname="Arial",
        fontsize=_ASS_FONT_PX,
        primarycolor=Color(255, 255, 255),  # spoken
        secondarycolor=Color(255, 255, 255, 110),  # not yet
        outlinecolor=Color(0, 0, 0, 40),
        outline=3.0,
        shadow=0.0,
        alignment=Alignment.BOTTOM_CENTER,
        marginl=_ASS_MARGIN_PX,
        marginr=_ASS_MARGIN_PX,
        marginv=_ASS_MARGIN_PX,
    )
    # libass lays out what is between two tags by itself, and words stand in the wrong order:
    # https://github.com/libass/libass/blob/master/libass/ass.h, ASS_FEATURE_WHOLE_TEXT_LAYOUT.
    # Not so with this encoding, which is its own.
    right_to_left = file.styles["Default"].copy()
    right_to_left.encoding = -1
    for cue in cues:
        event = SSAEvent(
            start=round(1000 * cue.start_s),
            end=round(1000 * cue.end_s),
            text=_karaoke(cue),
            name=", ".join(map(_actor, dict.fromkeys(cue.speakers))),
        )
        if runs_right_to_left(cue.text):
            file.styles[_ASS_RIGHT_TO_LEFT] = right_to_left
            event.style = _ASS_RIGHT_TO_LEFT
        file.append(event)
    written = io.StringIO()
    LongFormat.to_file(file, written, "ass", header_notice="")
    return written.getvalue()


def lrc(cues: Sequence[Cue], title: str, duration_s: float) -> Iterator[str]:
    """Lyrics: one line a cue, and an empty one where nothing is said for a while."""
    yield f"[ti:{_lyric(' '.join(title.split()))}]\n[length:{_lrc_clock(duration_s)[:-3]}]\n"
    for cue, after in pairwise([*cues, None]):
        assert cue is not None
        yield f"[{_lrc_clock(cue.start_s)}]{_lyric(_on_one_line(cue))}\n"
        if after is None or after.start_s - cue.end_s >= _LRC_PAUSE_S:
            yield f"[{_lrc_clock(cue.end_s)}]\n"


def _karaoke(cue: Cue) -> str:
    shown_cs = round(100 * cue.start_s)
    lines = []
    for line in cue.lines:
        text = ""
        for word, said in zip(line, _said(line), strict=True):
            start_cs, end_cs = round(100 * word.start_s), round(100 * word.end_s)
            if start_cs > shown_cs:  # a pause before the word
                text += f"{{\\k{start_cs - shown_cs}}}"
            text += f"{{\\k{max(0, end_cs - max(shown_cs, start_cs))}}}{_inert(said)}"
            shown_cs = max(shown_cs, end_cs)
        lines.append(text)
    if runs_right_to_left(cue.text):
        lines = [marked_right_to_left(line) for line in lines]
    return "\\N".join(lines)


def _said(line: Line) -> Iterator[str]:
    for number, word in enumerate(line):
        yield word.text if number else word.text.lstrip()


def _by_speaker(speakers: Sequence[str], lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The lines of a cue, those of one person that follow each other as one."""
    for speaker, run in groupby(zip(speakers, lines, strict=True), lambda pair: pair[0]):
        yield speaker, "\n".join(line for _, line in run)


def _voice(speaker: str) -> str:
    """The start tag of a voice span; `>` would end it, and there is no blank in it but one."""
    name = " ".join(speaker.split())
    for sign, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        name = name.replace(sign, escape)
    return f"<v {name}>"


def _actor(speaker: str) -> str:
    """A name for the field of an event: a comma would end it."""
    return " ".join(speaker.replace(",", " ").split())


def _inert(text: str) -> str:
    """Text without override blocks and escapes.

    There is no way to write `{` that all players know, so full-width braces stand in. A word joiner
    keeps a backslash from escaping, as in FFmpeg (libavcodec/ass.c, `ff_ass_bprint_text_event`).
    """
    text = text.replace("{", "\uff5b").replace("}", "\uff5d")
    return text.replace("\\", "\\\u2060")


def _lyric(text: str) -> str:
    return text.replace("[", "(").replace("]", ")")  # brackets hold times and tags


def _lrc_clock(seconds: float) -> str:
    whole, hundredths = divmod(round(seconds * 100), 100)
    return f"{whole // 60:02d}:{whole % 60:02d}.{hundredths:02d}"


def _without_tags(text: str) -> str:
    """Text in which players of srt see no tag: they know HTML's and, from ass, override blocks.

    srt has no escapes. A word joiner, which is not seen, keeps `<b>` from being a tag.
    """
    return _TAG_BEGINS.sub("<\u2060", _inert(text))


def _shown(cue: Cue) -> str:
    lines = directed([line_text(line) for line in cue.lines])
    return "\n".join(lines).replace("-->", "->")  # an arrow would start a new cue


def _on_one_line(cue: Cue) -> str:
    [line] = directed([" ".join(line_text(line) for line in cue.lines)])
    return line
