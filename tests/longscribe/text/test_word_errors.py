import pytest

from longscribe.text.word_errors import WordErrors, word_errors, words_of

# whisper/normalizers/english.py leaves its list of spellings to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*english.json:ResourceWarning")


def test_words_are_compared_as_the_language_is_written() -> None:
    assert words_of("It's twenty-one, Mr. Brown: colour!", "en") == words_of(
        "it is 21 mister brown color", "en"
    )
    assert words_of("Então, é às 3.", "pt") == ["então", "é", "às", "3"]
    assert words_of("東京タワーは333メートル。", "ja") == [*"東京タワーは", "333", *"メートル"]
    assert words_of("Hello, 世界", "auto") == ["hello", "世", "界"]
    assert words_of("ภาษาไทย", "th") == ["ภ", "า", "ษ", "า", "ไ", "ท", "ย"]


def test_errors_by_their_kind() -> None:
    assert word_errors("one good day", "good day", "fr") == WordErrors(3, 0, 1, 0)
    assert word_errors("one good day", "One bad day, today.", "fr") == WordErrors(3, 1, 0, 1)
    assert word_errors("one good day", "", "fr") == WordErrors(3, 0, 3, 0)
    assert word_errors("今日は", "今日わ", "ja").rate == pytest.approx(1 / 3)
