"""Who speaks, in every format; and nothing of it where that is not known."""

import io
import json
import xml.etree.ElementTree as ElementTree

import docx
import pysubs2
import pytest
from rich.cells import cell_len

from longscribe.monitoring.run_record import RunRecord
from longscribe.options import Format, SubtitleRules
from longscribe.outputs.documents import docx as write_docx
from longscribe.outputs.formats import printable_lines, render
from longscribe.outputs.plot.plot import plot
from longscribe.text.cues import cues, line_text
from longscribe.text.paragraphs import speakers_of
from longscribe.transcript import Transcript
from tests.segments import LONG, segment, talk, transcript, with_speakers

PLAIN = transcript(
    segment(0.0, 2.0, " Where have you been?"),
    segment(2.2, 3.0, " At home."),
    segment(3.0, 5.0, " All day, and it rained."),
    segment(9.0, 10.0, " Really?"),
    recording="the talk.wav",
)
SAID = with_speakers(PLAIN, ["Ana", "Bo", "Bo", "Ana"])
NAMES = SubtitleRules(speaker_marks="names")
DASHES = SubtitleRules(speaker_marks="dashes")
NONE = SubtitleRules(speaker_marks="none")


def written(said: Transcript, format_: Format, rules: SubtitleRules = NAMES) -> str:
    return "".join(render(said, format_, rules))


def shown(said: Transcript, rules: SubtitleRules) -> list[str]:
    return [cue.text for cue in cues(said, rules)]


def test_text_is_a_dialogue() -> None:
    assert written(SAID, "txt") == (
        "Ana: Where have you been?\nBo: At home. All day, and it rained.\nAna: Really?\n"
    )
    assert printable_lines(SAID)[1] == "[00:02.200 --> 00:03.000] Bo: At home."


def test_tables_and_json_have_the_speaker() -> None:
    assert written(SAID, "tsv").splitlines()[:2] == [
        "start\tend\ttext\tspeaker",
        "0\t2000\tWhere have you been?\tAna",
    ]
    segments = json.loads(written(SAID, "json"))["segments"]
    assert [s["speaker"] for s in segments] == ["Ana", "Bo", "Bo", "Ana"]
    word = json.loads(written(SAID, "words"))["words"][4]
    assert (word["word"], word["speaker"]) == ("At", "Bo")


def test_documents_name_each_turn() -> None:
    assert "**0:00:02** **Bo:** At home. All day, and it rained." in written(SAID, "md")
    file = io.BytesIO()
    write_docx(SAID, file)
    texts = [paragraph.text for paragraph in docx.Document(file).paragraphs]
    assert "0:00:02  Bo: At home. All day, and it rained." in texts


def test_rttm_has_a_line_a_turn() -> None:
    assert written(SAID, "rttm").splitlines() == [
        "SPEAKER the_talk 1 0.000 2.000 <NA> <NA> Ana <NA> <NA>",
        "SPEAKER the_talk 1 2.200 2.800 <NA> <NA> Bo <NA> <NA>",
        "SPEAKER the_talk 1 9.000 1.000 <NA> <NA> Ana <NA> <NA>",
    ]
    assert "María_José" in written(with_speakers(PLAIN, ["María José"]), "rttm")


@pytest.mark.parametrize("format_", ["srt", "vtt", "ass", "lrc", "txt", "tsv", "json", "words"])
def test_nothing_is_said_of_speakers_that_nobody_knows(format_: Format) -> None:
    assert "peaker" not in written(PLAIN, format_)
    assert written(PLAIN, format_) == written(PLAIN, format_, DASHES)
    assert written(PLAIN, "rttm") == ""


def test_names_stand_before_the_first_words_of_a_turn() -> None:
    assert shown(SAID, NAMES) == [
        "Ana: Where have you been?",
        "Bo: At home.",
        "All day, and it rained.",
        "Ana: Really?",
    ]
    assert shown(SAID, NONE) == shown(PLAIN, NONE)
    assert written(SAID, "srt").splitlines()[2] == "Ana: Where have you been?"
    event = pysubs2.SSAFile.from_string(written(SAID, "ass"))[0]
    assert (event.name, event.plaintext) == ("Ana", "Ana: Where have you been?")


def test_an_answer_shares_the_cue_with_a_dash_each() -> None:
    assert shown(SAID, DASHES) == [
        "- Where have you been?\n- At home.",
        "All day, and it rained.",
        "- Really?",
    ]


def test_vtt_has_voices() -> None:
    first = written(SAID, "vtt").split("\n\n")[1].splitlines()
    assert first[1] == "<v Ana>Where have you been?</v>"
    dashed = written(SAID, "vtt", DASHES).split("\n\n")[1].splitlines()
    assert dashed[1:] == ["<v Ana>- Where have you been?</v>", "<v Bo>- At home.</v>"]
    assert "<v" not in written(SAID, "vtt", NONE)
    odd = with_speakers(PLAIN, ["A > B & <C>"])
    assert "<v A &gt; B &amp; &lt;C&gt;>Where" in written(odd, "vtt")


def test_who_speaks_at_once_is_shown_at_once() -> None:
    short = transcript(segment(0.0, 2.0, " Yes, but"), segment(1.0, 2.5, " No!"))
    [cue] = cues(with_speakers(short, ["Ana", "Bo"]), NAMES)
    assert (cue.start_s, cue.end_s, cue.text) == (0.0, 2.5, "Ana: Yes, but\nBo: No!")
    assert cue.speakers == ("Ana", "Bo")
    long = transcript(
        segment(0.0, 12.0, LONG), segment(0.0, 11.0, LONG), segment(12.0, 13.0, " No.")
    )
    made = cues(with_speakers(long, ["Ana", "Bo", "Ana"]), NAMES)
    assert all(cue.end_s - cue.start_s > 0.9 for cue in made)  # none makes another vanish


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rules", [NAMES, DASHES, SubtitleRules(max_line_chars=20, max_lines=3)])
def test_no_line_is_too_long_and_no_cue_mixes_two_speakers(seed: int, rules: SubtitleRules) -> None:
    plain = talk(seed)
    said = with_speakers(plain, ["Ana", "Ana", "Bo", None, "Somebody with a long name"])
    for cue in cues(said, rules):
        assert all(cell_len(line_text(line)) <= rules.max_line_chars for line in cue.lines)
        if len(set(cue.speakers)) > 1:
            marks = ["-", "-"] if rules is DASHES else [f"{name}:" for name in cue.speakers]
            starts = zip(marks, map(line_text, cue.lines), strict=True)
            assert all(line.startswith(mark) for mark, line in starts)
    bare = "".join(line_text(line) for cue in cues(said, NONE) for line in cue.lines)
    assert bare == "".join(line_text(line) for cue in cues(plain, NONE) for line in cue.lines)


def test_the_picture_has_a_row_each_with_the_seconds() -> None:
    many = transcript(*(segment(n, n + 0.9, " Yes.") for n in range(30)))
    named = with_speakers(many, [f"Speaker {n}" for n in range(15)])
    for said, rows in ((SAID, ["Ana", "Bo"]), (PLAIN, []), (named, ["4 others"])):
        root = ElementTree.fromstring(plot(said, RunRecord()))
        texts = [node.text or "" for node in root.iter()]
        assert ("Speakers" in texts) == bool(rows)
        assert set(rows) <= set(texts)
    assert "Bo, 0:00:03" in plot(SAID, RunRecord())
    assert speakers_of(SAID) == {"Ana": 3.0, "Bo": pytest.approx(2.8)}
