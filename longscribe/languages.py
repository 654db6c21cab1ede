"""The languages Whisper knows, by code.

A copy of `LANGUAGES` and of the aliases in `TO_LANGUAGE_CODE`, whisper/tokenizer.py: importing
them from there would load torch (2 s, 200 MB) into the parent process, which only checks an option.
tests/longscribe/test_languages.py holds the copy against the original.
"""

import re
from typing import Final, Literal

from longscribe.wording.catalog import translated

# https://www.rfc-editor.org/rfc/rfc5646: a language, its script, its region.
_REGIONAL: Final = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|[0-9]{3}))?")

# How Chinese is written: in simplified signs; in traditional ones, and with the forms that Taiwan
# or Hong Kong prefer of some.
ChineseScript = Literal["Hans", "Hant", "TW", "HK"]
_SCRIPTS_OF_REGIONS: Final[dict[str | None, ChineseScript]] = {
    "cn": "Hans",
    "sg": "Hans",
    "my": "Hans",
    "tw": "TW",
    "hk": "HK",
    "mo": "HK",
}

LANGUAGES: dict[str, str] = {
    "en": "english",
    "zh": "chinese",
    "de": "german",
    "es": "spanish",
    "ru": "russian",
    "ko": "korean",
    "fr": "french",
    "ja": "japanese",
    "pt": "portuguese",
    "tr": "turkish",
    "pl": "polish",
    "ca": "catalan",
    "nl": "dutch",
    "ar": "arabic",
    "sv": "swedish",
    "it": "italian",
    "id": "indonesian",
    "hi": "hindi",
    "fi": "finnish",
    "vi": "vietnamese",
    "he": "hebrew",
    "uk": "ukrainian",
    "el": "greek",
    "ms": "malay",
    "cs": "czech",
    "ro": "romanian",
    "da": "danish",
    "hu": "hungarian",
    "ta": "tamil",
    "no": "norwegian",
    "th": "thai",
    "ur": "urdu",
    "hr": "croatian",
    "bg": "bulgarian",
    "lt": "lithuanian",
    "la": "latin",
    "mi": "maori",
    "ml": "malayalam",
    "cy": "welsh",
    "sk": "slovak",
    "te": "telugu",
    "fa": "persian",
    "lv": "latvian",
    "bn": "bengali",
    "sr": "serbian",
    "az": "azerbaijani",
    "sl": "slovenian",
    "kn": "kannada",
    "et": "estonian",
    "mk": "macedonian",
    "br": "breton",
    "eu": "basque",
    "is": "icelandic",
    "hy": "armenian",
    "ne": "nepali",
    "mn": "mongolian",
    "bs": "bosnian",
    "kk": "kazakh",
    "sq": "albanian",
    "sw": "swahili",
    "gl": "galician",
    "mr": "marathi",
    "pa": "punjabi",
    "si": "sinhala",
    "km": "khmer",
    "sn": "shona",
    "yo": "yoruba",
    "so": "somali",
    "af": "afrikaans",
    "oc": "occitan",
    "ka": "georgian",
    "be": "belarusian",
    "tg": "tajik",
    "sd": "sindhi",
    "gu": "gujarati",
    "am": "amharic",
    "yi": "yiddish",
    "lo": "lao",
    "uz": "uzbek",
    "fo": "faroese",
    "ht": "haitian creole",
    "ps": "pashto",
    "tk": "turkmen",
    "nn": "nynorsk",
    "mt": "maltese",
    "sa": "sanskrit",
    "lb": "luxembourgish",
    "my": "myanmar",
    "bo": "tibetan",
    "tl": "tagalog",
    "mg": "malagasy",
    "as": "assamese",
    "tt": "tatar",
    "haw": "hawaiian",
    "ln": "lingala",
    "ha": "hausa",
    "ba": "bashkir",
    "jw": "javanese",
    "su": "sundanese",
    "yue": "cantonese",
}

ALIASES: dict[str, str] = {
    "burmese": "my",
    "valencian": "ca",
    "flemish": "nl",
    "haitian": "ht",
    "letzeburgesch": "lb",
    "pushto": "ps",
    "panjabi": "pa",
    "moldavian": "ro",
    "moldovan": "ro",
    "sinhalese": "si",
    "castilian": "es",
    "mandarin": "zh",
}


def language_name(code: str) -> str:
    """A language in the reader's language, in small letters; the code itself of an unknown one."""
    return translated(LANGUAGES.get(code, code))


def language_code(language: str) -> str | None:
    """The code of a language given by code, name or alias in any case; None if Whisper has none.

    Regional codes (`pt-BR`, `zh_CN`, `sr-Latn`) are their language's: Whisper knows no regions
    (`chinese_script` does).
    """
    word = language.strip().lower()
    if regional := _REGIONAL.fullmatch(word):
        word = regional[1]
    if word in LANGUAGES:
        return word
    by_name = {name: code for code, name in LANGUAGES.items()}
    return by_name.get(word) or ALIASES.get(word)


def chinese_script(language: str) -> ChineseScript | None:
    """How Chinese is to be written by a code like `zh-TW` or `zh-Hans`; None if it does not say."""
    regional = _REGIONAL.fullmatch(language.strip().lower())
    if not regional or regional[1] not in ("zh", "yue"):
        return None
    of_region = _SCRIPTS_OF_REGIONS.get(regional[3])
    match regional[2]:
        case None:
            return of_region
        case "hans":
            return "Hans"
        case "hant":
            return of_region if of_region in ("TW", "HK") else "Hant"
        case _:
            return None
