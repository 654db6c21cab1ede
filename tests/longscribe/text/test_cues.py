from itertools import pairwise

import pytest
from rich.cells import cell_len

from longscribe.options import SubtitleRules
from longscribe.text.cues import Cue, cues
from longscribe.transcript import Word
from tests.segments import LONG, SUBTITLE_RULES, segment, talk, transcript

DEFAULT = SubtitleRules()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rules", SUBTITLE_RULES)
def test_the_rules_hold_whatever_is_said(seed: int, rules: SubtitleRules) -> None:
    said = talk(seed)
    made = cues(said, rules)
    shown = "".join("".join(cue.text.split()) for cue in made)
    spoken = "".join("".join(s.text.split()) for s in said.segments)
    assert shown == spoken + "[gap:chunkfailed]"
    for cue, after in pairwise(made):
        assert cue.start_s <= cue.end_s <= after.start_s
        room_s = after.start_s - cue.start_s
        assert after.start_s - cue.end_s >= min(rules.min_gap_s, room_s / 2) - 1e-9
    for cue in made[:-1]:
        lines = cue.text.split("\n")
        assert len(lines) <= rules.max_lines
        assert all(0 < cell_len(line) <= rules.max_line_chars for line in lines)
        assert all(word.text.strip() for line in cue.lines for word in line)
    for cue, after in pairwise(made):
        if rules.max_chars_per_s and "[gap" not in cue.text:
            needed_s = sum(map(cell_len, cue.text.split("\n"))) / rules.max_chars_per_s
            full = after.start_s - cue.end_s <= rules.min_gap_s + 1e-9
            assert cue.end_s - cue.start_s >= needed_s - 1e-9 or full


def lines(made: list[Cue]) -> list[list[str]]:
    return [cue.text.split("\n") for cue in made]


def test_a_long_segment_is_cut_where_its_sentences_end() -> None:
    made = cues(transcript(segment(0.0, 12.0, LONG)), DEFAULT)
    assert lines(made) == [
        ["The committee met on Monday,", "and it heard three witnesses before noon."],
        ["Nobody objected to the minutes,", "which had been sent round a week before."],
        ["Then the chair asked for questions."],
    ]
    assert made[0].start_s == 0.0
    assert made[-1].end_s == 12.0


def test_cuts_lie_at_the_words_times() -> None:
    words = [*LONG.split()]
    timed = tuple(
        Word(
            f" {w}",
            n * 0.1 + (20.0 if n > 11 else 0.0),
            n * 0.1 + 0.1 + (20.0 if n > 11 else 0.0),
            1,
        )
        for n, w in enumerate(words)
    )
    made = cues(transcript(segment(0.0, 24.0, LONG, words=timed)), DEFAULT)
    assert made[1].start_s == pytest.approx(21.2)
    assert made[0].end_s == pytest.approx(70 / 20.0, abs=0.2)  # as long as it takes to read


def test_short_segments_keep_their_text_on_one_line_and_their_times() -> None:
    said = transcript(segment(0.0, 2.5, " Hello you."), segment(4.0, 5.0, " Bye."))
    assert [(c.start_s, c.end_s, c.text) for c in cues(said, DEFAULT)] == [
        (0.0, 2.5, "Hello you."),
        (4.0, 5.0, "Bye."),
    ]


def test_without_rules_a_segment_is_a_cue() -> None:
    said = transcript(segment(0.0, 2.0, LONG), segment(2.0, 3.0, " Bye."))
    made = cues(said, SubtitleRules(max_line_chars=0))
    assert [(c.start_s, c.end_s) for c in made] == [(0.0, 2.0), (2.0, 3.0)]
    assert made[0].text == LONG.strip()


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("ja", "「会議は、|月曜日に|開かれました」と|彼女は|聞いた。"),
        ("zh", "今天|天气|很|好，|他|说：|“我|不|知道|这|件|事情。”"),
        ("th", "วัน|นี้|อากาศ|ดี|มาก|เรา|ไป|เดิน|เล่น|"),
        ("km", "គណៈកម្មាធិការ|បាន|ប្រជុំ|នៅ|ថ្ងៃច័ន្ទ។|"),
    ],
)
@pytest.mark.parametrize("repeats", [1, 2, 7])
@pytest.mark.parametrize("limit", [18, 24, 42])
def test_lines_end_between_phrases(language: str, wanted: str, repeats: int, limit: int) -> None:
    phrases = wanted.split("|") * repeats
    text = "".join(phrases)
    said = transcript(segment(0.0, 30.0, text, language=language))
    shown = [line for cue in lines(cues(said, SubtitleRules(max_line_chars=limit))) for line in cue]
    assert "".join(shown) == text
    ends = {sum(map(len, phrases[:n])) for n in range(len(phrases) + 1)}
    assert {sum(map(len, shown[:n])) for n in range(len(shown))} <= ends
    assert all(cell_len(line) <= limit for line in shown)


@pytest.mark.parametrize("language", ["ja", "zh"])
@pytest.mark.parametrize("limit", range(10, 20))
def test_no_line_begins_or_ends_with_the_wrong_mark(language: str, limit: int) -> None:
    text = "「東京大学前駅」、『横断歩道橋下』（通行人用）。“国立公園内”！" * 3
    said = transcript(segment(0.0, 30.0, text, language=language))
    shown = [line for cue in lines(cues(said, SubtitleRules(max_line_chars=limit))) for line in cue]
    assert "".join(shown) == text
    assert len(shown) > 6
    assert not [line for line in shown if line[0] in "」』）”、。！" or line[-1] in "「『（“"]


def test_a_phrase_longer_than_a_line_is_parted_and_no_other() -> None:
    text = "会議は" + "ア" * 15 + "でした。"
    said = transcript(segment(0.0, 9.0, text, language="ja"))
    shown = [line for cue in lines(cues(said, SubtitleRules(max_line_chars=12))) for line in cue]
    assert "".join(shown) == text
    assert all(cell_len(line) <= 12 for line in shown)


def test_words_keep_their_times_within_a_phrase() -> None:
    said = transcript(segment(0.0, 4.0, "行きました。", language="ja"))
    [cue] = cues(said, DEFAULT)
    assert [word.text for word in cue.lines[0]] == ["行", "き", "ま", "し", "た。"]
