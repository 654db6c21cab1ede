import pytest

from longscribe.languages import LANGUAGES
from longscribe.text import phantoms
from longscribe.text.phantoms import is_phantom


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (" Thanks for watching!", "en"),
        (" THANK YOU FOR WATCHING. Please subscribe!", "en"),
        (" Subtitles by the Amara.org community", "pt"),  # English ones come in all languages
        (" Legendas pela comunidade Amara.org", "pt"),
        (" Sous-titrage ST'501", "fr"),
        (" Sous-titres r\u00e9alis\u00e9s par la communaut\u00e9 d'Amara.org", "fr"),
        (" Sous-titres re\u0301alise\u0301s par la communaute\u0301 d\u2019Amara.org", "fr"),
        (" Untertitelung des ZDF, 2020", "de"),
        (" Untertitel im Auftrag des ZDF für funk, 2017", "de"),
        ("ご視聴ありがとうございました。", "ja"),
        ("请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", "zh"),
        ("字幕由 Amara.org 社区提供", "zh"),
        (" Субтитры создавал DimaTorzok", "ru"),
        (" Продолжение следует...", "ru"),
        (" 시청해주셔서 감사합니다!", "ko"),
        (" www.mooji.org", "en"),
        (" https://www.fema.gov/", "en"),
        (" ...", "en"),
        (" ♪♪", "ja"),
    ],
)
def test_what_whisper_invents(text: str, language: str) -> None:
    assert is_phantom(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (" Thank you.", "en"),
        (" Bye.", "en"),
        (" Thanks for watching the children.", "en"),
        (" Go to www.example.org and look.", "en"),
        (" Untertitel sind schwer zu lesen.", "de"),
        (" Obrigado por assistir", "es"),  # Portuguese
        (" O vídeo, obrigado por assistir", "pt"),
        ("ありがとうございました", "ja"),
        (" 501.", "fr"),
    ],
)
def test_what_people_say(text: str, language: str) -> None:
    assert not is_phantom(text, language)


def test_every_list_is_of_a_language_that_whisper_knows() -> None:
    assert set(phantoms._PHRASES) <= set(LANGUAGES)
    for language, phrases in phantoms._PHRASES.items():
        assert len(set(phrases)) == len(phrases)
        assert all(is_phantom(phrase, language) for phrase in phrases)
