from io import BytesIO

from docx import Document

from longscribe.outputs.documents import docx, markdown
from longscribe.text.paragraphs import paragraphs
from longscribe.transcript import Stretch
from tests.segments import segment, transcript

HOSTILE = " # <script>x()</script> [a](javascript:x) ![b](c) `d` *e* _f_ | &amp; \\ ~g~ $h$"


def test_paragraphs_break_at_pauses_and_gaps_and_when_they_grow_long() -> None:
    gap = Stretch(50.0, 60.0, "gap", "chunk failed")
    said = transcript(
        segment(0.0, 1.0, " One."),
        segment(1.2, 2.0, " Two."),
        segment(9.0, 10.0, " After a pause."),
        segment(49.0, 50.0, " Before the gap."),
        segment(60.0, 61.0, " " + "long " * 100 + "end."),
        segment(61.0, 62.0, " New."),
        stretches=(gap,),
    )
    made = list(paragraphs(said, said.lost))
    assert [[s.id for s in p.segments] for p in made] == [[0, 1], [2], [3], [], [4], [5]]
    assert made[3].gap == gap


def test_markdown_shows_hostile_text_as_text() -> None:
    said = transcript(segment(0.0, 1.0, HOSTILE), recording="# <b>x</b>.wav", model="*m*")
    text = "".join(markdown(said))
    assert text.startswith("# \\# \\<b\\>x\\</b\\>.wav\n")
    line = next(line for line in text.splitlines() if "script" in line)
    bare = line.removeprefix("**0:00:00** ")
    for mark in "<>[]`*_|&~$#!":
        assert bare.count(mark) == bare.count(f"\\{mark}")
    unescaped = bare.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
    assert unescaped == HOSTILE.strip()


def test_a_word_document_opens_again_with_all_of_the_text() -> None:
    said = transcript(
        segment(0.0, 1.0, " Bell\x07 null\x00 half\ud800 <b> & \ufffe."),
        segment(3700.0, 3701.0, " Later."),
        stretches=(Stretch(100.0, 200.0, "gap", "chunk failed"),),
        recording="a\x0b<b>.wav",
    )
    file = BytesIO()
    docx(said, file)
    document = Document(BytesIO(file.getvalue()))
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts[0] == "a<b>.wav"
    assert texts[2:] == [
        "0:00:00  Bell null half <b> & .",
        "0:01:40  [gap: chunk failed] 0:01:40-0:03:20",
        "1:01:40  Later.",
    ]
    assert document.core_properties.author == "Longscribe"


def test_word_lays_paragraphs_out_in_the_direction_of_their_text() -> None:
    said = transcript(segment(0.0, 1.0, " شركة GitHub كبيرة."), segment(9.0, 10.0, " Hello, سلام."))
    file = BytesIO()
    docx(said, file)
    arabic, english = Document(BytesIO(file.getvalue())).paragraphs[2:]
    assert [child.tag.rpartition("}")[2] for child in arabic._p.pPr] == ["bidi"]
    assert [run.font.rtl for run in arabic.runs] == [False, True]  # the time, the text
    assert english._p.pPr is None
    assert [run.font.rtl for run in english.runs] == [None, None]
