import pytest

from longscribe.languages import ChineseScript
from longscribe.text.chinese import in_script, is_traditional, words_in_script
from longscribe.transcript import Word


def test_the_script_of_chinese() -> None:
    assert is_traditional("這是繁體中文")
    assert not is_traditional("这是简体中文")
    assert not is_traditional("今天很好")  # the same in both
    assert not is_traditional("これは、ひらがなです")


@pytest.mark.parametrize(
    ("text", "script", "wanted"),
    [
        (" 头发里发现了什么", "TW", " 頭髮裡發現了什麼"),
        ("头发里发现了什么", "HK", "頭髮裏發現了什麼"),
        ("头发里发现了什么", "Hant", "頭髮裏發現了什麼"),
        ("頭髮裡發現了什麼", "Hans", "头发里发现了什么"),
        ("皇后以后干什么 OK?", "TW", "皇后以後幹什麼 OK?"),
        ("那个软件", "TW", "那個軟件"),  # the word that was said, not Taiwan's for it
        ("鄰里和皇后", "TW", "鄰里和皇后"),  # traditional already
        ("裏面", "TW", "裡面"),
        ("這个软體", "TW", "這個軟體"),  # both at once
    ],
)
def test_text_in_another_script(text: str, script: ChineseScript, wanted: str) -> None:
    assert in_script(text, script) == wanted


def test_words_are_converted_as_one_text_and_keep_their_times() -> None:
    words = [Word("头", 0.0, 0.1, 0.9), Word("发", 0.1, 0.2, 0.8), Word(" 发", 0.2, 0.3, 0.7)]
    converted = words_in_script([*words, Word("现", 0.3, 0.4, 0.6)], "TW")
    assert [word.word for word in converted] == ["頭", "髮", " 發", "現"]
    assert [(w.start, w.end, w.probability) for w in converted[:3]] == [
        (w.start, w.end, w.probability) for w in words
    ]
