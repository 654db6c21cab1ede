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
    assert languages.language_code("klingon") is None
