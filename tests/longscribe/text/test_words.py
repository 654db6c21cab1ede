from itertools import pairwise

import pytest

from longscribe.text.words import one_line, spoken_words
from longscribe.transcript import Word
from tests.segments import segment

TIMED = (Word(" the", 1.0, 1.2, 0.9), Word(" pre", 1.3, 1.5, 0.8), Word(" fact.", 1.5, 1.9, 0.6))


def test_timed_words_keep_their_times() -> None:
    words = spoken_words(segment(1.0, 2.0, " the pre fact.", words=TIMED))
    assert [word.text for word in words] == ["the", " pre", " fact."]
    assert [round(word.start_s, 6) for word in words] == [1.0, 1.3, 1.5]
    assert [round(word.end_s, 6) for word in words] == [1.2, 1.5, 1.9]
    assert [word.probability for word in words] == pytest.approx([0.9, 0.8, 0.6])


def test_times_are_carried_to_an_improved_text() -> None:
    words = spoken_words(segment(1.0, 2.0, " The Prefect. Added", words=TIMED))
    assert [word.text for word in words] == ["The", " Prefect.", " Added"]
    assert words[0].start_s == 1.0
    assert words[1].start_s == pytest.approx(1.3)
    assert words[1].end_s == pytest.approx(1.9)
    assert words[1].probability is not None
    assert (words[2].probability, words[2].end_s) == (None, 2.0)


def test_without_times_a_segment_is_shared_out_by_letters() -> None:
    words = spoken_words(segment(10.0, 20.0, " aa bbbbbbbb"))
    assert [(word.start_s, word.end_s) for word in words] == [(10.0, 12.0), (12.0, 20.0)]
    assert [word.probability for word in words] == [None, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" 你好，世界。", ["你", "好，", "世", "界。"]),
        ("今日はGPT四です", ["今", "日", "は", "GPT", "四", "で", "す"]),
        (" ก็ไป", ["ก็", "ไป"]),
        ("", []),
        ("  \n ", []),
    ],
)
def test_scripts_without_spaces_divide_between_signs(text: str, expected: list[str]) -> None:
    words = spoken_words(segment(0.0, 1.0, text))
    assert [word.text for word in words] == expected


def test_words_outside_their_segment_are_brought_inside_and_never_run_backwards() -> None:
    wild = (Word(" a", 5.0, 9.0, 1.0), Word(" b", 2.0, 3.0, 1.0), Word(" c", 11.0, 30.0, 1.0))
    words = spoken_words(segment(4.0, 10.0, " a b c", words=wild))
    assert all(4.0 <= word.start_s <= word.end_s <= 10.0 for word in words)
    assert all(a.end_s <= b.start_s for a, b in pairwise(words))


def test_one_line() -> None:
    assert one_line(" a \n\u2028 b\tc ") == "a b\tc"


@pytest.mark.parametrize(
    "wanted",
    [
        "「東|京」|（大|阪）。",
        "“我|们”|是|2025|年！",
        "เปิ|ด|ไก่|น้ำ|จะ",
        "ເດັ|ກ|ຈະ",
        "ប្រ|ជុំ។",
        "ကော်|မ|တီ|သည်|တ|နင်္လာ",
    ],
)
def test_signs_that_must_not_be_parted(wanted: str) -> None:
    words = spoken_words(segment(0.0, 9.0, wanted.replace("|", "")))
    assert [word.text for word in words] == wanted.split("|")
