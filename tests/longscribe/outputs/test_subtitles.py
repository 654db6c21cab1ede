"""What real readers make of the subtitles: pysubs2, and FFmpeg as the wheel of PyAV carries it."""

import re
from pathlib import Path

import av
import pysubs2
import pytest
from av.subtitles.subtitle import AssSubtitle

from longscribe.options import Format, SubtitleRules
from longscribe.outputs.formats import render, write_transcript
from longscribe.outputs.subtitles import ass, srt
from longscribe.text.cues import cues
from longscribe.transcript import Stretch, Transcript, Word
from tests.segments import segment, transcript

HOSTILE = " {\\an8\\fs200}<script>x()</script> \\N & {\\k10} --> [00:01.00] <i>done"
SAID = transcript(
    segment(
        *(0.5, 2.0, " Hello you."),
        words=(Word(" Hello", 0.6, 1.0, 0.9), Word(" you.", 1.4, 1.9, 0.8)),
    ),
    segment(2.0, 4.0, HOSTILE),
    segment(37_000.25, 37_001.5, " After ten hours."),
    stretches=(Stretch(60.0, 90.0, "gap", "chunk failed"),),
)


def written(folder: Path, format_: Format, said: Transcript = SAID) -> Path:
    return write_transcript(said, folder, "talk", [format_])[0]


def as_ass(said: Transcript) -> str:
    return ass(cues(said, SubtitleRules()), said.recording)


def read_by_ffmpeg(file: Path) -> list[tuple[float, str]]:
    """Start and payload of every subtitle packet that FFmpeg finds."""
    with av.open(str(file)) as container:
        [stream] = container.streams.subtitles
        assert stream.time_base is not None
        return [
            (float(packet.pts * stream.time_base), bytes(packet).decode())
            for packet in container.demux(stream)
            if packet.pts is not None and packet.size
        ]


@pytest.mark.parametrize("format_", ["srt", "vtt", "ass"])
def test_both_readers_find_every_cue_where_it_is(format_: Format, tmp_path: Path) -> None:
    file = written(tmp_path, format_)
    expected = cues(SAID, SubtitleRules())
    read = pysubs2.load(str(file))
    assert [e.start for e in read] == [
        pytest.approx(1000 * cue.start_s, abs=5 + 1) for cue in expected
    ]
    assert [e.end for e in read] == [pytest.approx(1000 * c.end_s, abs=6) for c in expected]
    packets = read_by_ffmpeg(file)
    assert [start for start, _ in packets] == [
        pytest.approx(cue.start_s, abs=0.006) for cue in expected
    ]
    assert re.sub(r"\{[^}]*\}", "", packets[-1][1]).endswith("After ten hours.")


def test_markup_in_srt_is_shown_as_it_was_said(tmp_path: Path) -> None:
    """FFmpeg, like players, would take tags and override blocks, and drop those it cannot use."""
    said = transcript(segment(2.0, 9.0, HOSTILE), segment(9.0, 12.0, " 3 < 4, <b>AT&T</b>, <3"))
    file = written(tmp_path, "srt", said)
    with av.open(str(file)) as container:
        [stream] = container.streams.subtitles
        packets = [packet for packet in container.demux(stream) if packet.size]
        shown = "".join(
            line.dialogue.decode()  # as it would be drawn: without override blocks
            for packet in packets
            for line in packet.decode()
            if isinstance(line, AssSubtitle)
        )
    plain = shown.translate({0x2060: None, 0xFF5B: "{", 0xFF5D: "}"})
    expected = "".join(s.text.replace("-->", "->") for s in said.segments)
    assert "".join(plain.split()) == "".join(expected.split())
    for event in pysubs2.load(str(file)):
        assert not re.search(r"\{", event.text)
        assert "</" not in event.plaintext


def test_lyrics_are_read_by_ffmpeg(tmp_path: Path) -> None:
    packets = read_by_ffmpeg(written(tmp_path, "lrc"))
    texts = [text.strip() for _, text in packets if text.strip()]
    assert texts[0] == "Hello you."
    assert "(gap: chunk failed)" in texts
    assert packets[0][0] == pytest.approx(0.5)
    assert [start for start, text in packets if "ten hours" in text] == [pytest.approx(37_000.25)]


def test_markup_is_text_in_ass() -> None:
    events = pysubs2.SSAFile.from_string(as_ass(transcript(segment(2.0, 4.0, HOSTILE))))
    event = events[0]
    blocks = set(re.findall(r"\{[^}]*\}", event.text))
    assert all(re.fullmatch(r"\{\\k\d+\}", block) for block in blocks)
    assert "an8" in event.plaintext
    assert "<script>" in event.plaintext


def test_karaoke_counts_every_hundredth_from_the_cue_s_start() -> None:
    event = pysubs2.SSAFile.from_string(as_ass(SAID))[0]
    parts = re.findall(r"\{\\k(\d+)\}([^{]*)", event.text)
    assert parts == [("10", ""), ("40", "Hello"), ("40", ""), ("50", " you.")]


def test_markup_is_escaped_in_vtt_and_no_cue_is_faked(tmp_path: Path) -> None:
    text = written(tmp_path, "vtt").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script" in text
    assert text.count("-->") == len(cues(SAID, SubtitleRules()))


ARABIC = "قال John Smith اليوم: مرحبا."


@pytest.mark.parametrize("format_", ["srt", "vtt", "ass", "lrc"])
def test_lines_from_right_to_left_are_marked_and_others_are_not(format_: Format) -> None:
    said = transcript(segment(0.0, 2.0, f" {ARABIC}"), segment(2.0, 4.0, " John: مرحبا you."))
    text = "".join(render(said, format_))
    if format_ == "ass":
        text = re.sub(r"{[^}]*}", "", text)
    assert f"\u202b{ARABIC}\u202c" in text
    assert text.count("\u202b") == text.count("\u202c") == 1


def test_ass_has_a_style_for_lines_from_right_to_left() -> None:
    said = transcript(segment(0.0, 2.0, f" {ARABIC}"), segment(2.0, 4.0, " Hello."))
    file = pysubs2.SSAFile.from_string(as_ass(said))
    arabic, english = (file.styles[event.style] for event in file)
    assert (arabic.encoding, english.encoding) == (-1, 1)
    assert arabic.fontsize == english.fontsize
    [plain] = pysubs2.SSAFile.from_string(as_ass(transcript(segment(0.0, 1.0, " Hello.")))).styles
    assert plain == "Default"


def test_every_line_of_a_cue_is_marked_also_one_in_latin_letters() -> None:
    text = (
        "كان هذا أول اجتماع للجنة في هذا العام، "
        "The Committee of the Whole House. وقد حضره الجميع ومعهم الضيوف"
    )
    [cue] = cues(transcript(segment(0.0, 9.0, text)), SubtitleRules(max_line_chars=42, max_lines=4))
    marked = "".join(srt([cue])).split("\n")[2:-2]
    assert len(marked) > 1
    assert marked == [f"\u202b{line}\u202c" for line in cue.text.split("\n")]
