import pytest

from longscribe.text.phrases import phrases
from longscribe.text.words import spoken_words
from tests.segments import segment


def found(text: str, language: str) -> list[str]:
    words = spoken_words(segment(0.0, 9.0, text))
    return ["".join(word.text for word in phrase) for phrase in phrases(words, language)]


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        (
            "ja",
            "会議は|月曜日に|開かれました。|「昨日、|東京タワーへ|行きましたか」と|彼女は|聞いた。",
        ),
        ("zh", "今天|天气|很|好，|我们|一起|去|公园|散步|吧。"),
        ("zh", "今天|天氣|很|好，|我們|一起去|公園|散步吧。"),
        ("yue", "佢話|今日|好|開心"),
        ("th", "วัน|นี้|อากาศ|ดี|มาก|เรา|ไป|เดิน|เล่น"),
        ("km", "គណៈកម្មាធិការ|បាន|ប្រជុំ|នៅ|ថ្ងៃច័ន្ទ។"),
        ("lo", "ຄະນະ|ກຳມະການ|ໄດ້|ປະຊຸມ|ກັນ|ໃນ|ວັນ|ຈັນ"),
        ("my", "ကော်မတီ|သည်|တနင်္လာနေ့|တွင်|တွေ့ဆုံ|ခဲ့|သည်။"),
    ],
)
def test_phrases_of_languages_without_spaces(language: str, wanted: str) -> None:
    assert found(wanted.replace("|", ""), language) == wanted.split("|")


def test_numbers_and_foreign_words_stay_whole() -> None:
    text = "ドイツのWhisperモデルは2025年に公開された。"
    assert found(text, "ja") == ["ドイツの", "Whisperモデルは", "2025年に", "公開された。"]


def test_a_space_ends_a_phrase() -> None:
    assert found("東京 タワー", "ja") == ["東京", " タワー"]


def test_words_with_spaces_are_their_own() -> None:
    assert found(" Where to, then?", "ja") == ["Where", " to,", " then?"]


def test_signs_of_a_language_without_a_library_are_their_own() -> None:
    assert found("東京 x", "en") == ["東", "京", " x"]
