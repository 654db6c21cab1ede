import pytest
from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

from longscribe import languages


def test_the_copy_is_upstream_s() -> None:
    assert languages.LANGUAGES == LANGUAGES
    for name, code in TO_LANGUAGE_CODE.items():
        assert languages.language_code(name) == code


def test_codes_names_and_aliases_in_any_case() -> None:
    assert languages.language_code("PT") == "pt"
    assert languages.language_code(" Portuguese ") == "pt"
    assert languages.language_code("Castilian") == "es"


@pytest.mark.parametrize(
    ("regional", "code"), [("pt-BR", "pt"), ("zh_CN", "zh"), ("sr-Latn-RS", "sr"), ("es-419", "es")]
)
def test_regional_codes_are_their_language_s(regional: str, code: str) -> None:
    assert languages.language_code(regional) == code


def test_what_is_no_language_is_none() -> None:
    assert languages.language_code("xx-BR") is None
    assert languages.language_code("klingon") is None


@pytest.mark.parametrize(
    ("codes", "script"),
    [
        (["zh-CN", "zh_SG", "zh-Hans", "ZH-hans-TW", "yue-Hans"], "Hans"),
        (["zh-Hant", "zh-hant-CN"], "Hant"),
        (["zh-TW", "zh-Hant-TW"], "TW"),
        (["zh-HK", "zh-MO", "zh-Hant-HK", "yue-HK"], "HK"),
        (["zh", "chinese", "zh-Latn", "zh-US", "ja-Hans", "pt-TW", "auto"], None),
    ],
)
def test_how_chinese_is_written(codes: list[str], script: str | None) -> None:
    assert {languages.chinese_script(code) for code in codes} == {script}
