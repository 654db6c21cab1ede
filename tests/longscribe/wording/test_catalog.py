"""The catalogs hold every message, and nothing else; the language is the one that was asked for."""

import gettext
import os
import re
import string
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from longscribe.options import UiLanguage
from longscribe.wording import catalog
from longscribe.wording.catalog import (
    UI_LANGUAGE_VARIABLE,
    UI_LANGUAGES,
    in_ui_language,
    libraries_speak_it,
    set_ui_language,
    translated,
    ui_language,
)
from tools.catalogs import (
    Entry,
    catalogs,
    compiled,
    messages_in_source,
    messages_of_click,
    read_po,
    write_po,
)

MESSAGE = "{path} does not exist; check the path."
PORTUGUESE = "{path} não existe; verifique o caminho."
HEADER = Entry("", "", ("Language: pt_BR\nContent-Type: text/plain; charset=UTF-8\n",))

# Of `%`, with precision or not: `%5.1f` and `%.2f` ask for the same.
PERCENT = re.compile(r"%(?:[-+0#]*\d*(?:\.\d+)?([sdrfge])|(%))")


def entries(file: Path) -> list[Entry]:
    return read_po(file.read_text(encoding="utf-8"))


def values_in(text: str) -> tuple[list[str], Counter[str]]:
    """The places for values: those of `%` in their order, and the names of `.format`."""
    in_order = [kind or percent for kind, percent in PERCENT.findall(text)]
    names = Counter(
        f"{name}!{conversion}" if conversion else name
        for _, name, _, conversion in string.Formatter().parse(text)
        if name is not None
    )
    return in_order, names


def is_sentence(text: str) -> bool:
    return text.endswith(".") and not text.endswith("...")


@pytest.fixture
def no_language(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (UI_LANGUAGE_VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_there_is_a_catalog_for_every_language_but_english() -> None:
    found = {file.parents[1].name for file in catalogs()}
    assert found == set(UI_LANGUAGES) - {"en"}
    assert set(get_args(UiLanguage)) == {"auto", *UI_LANGUAGES}


@pytest.mark.parametrize("file", catalogs(), ids=lambda file: file.parents[1].name)
def test_every_message_of_the_source_is_translated_and_no_other(file: Path) -> None:
    kept = {entry.message: entry for entry in entries(file)}
    source = messages_in_source()
    assert len(source) > 500
    assert not source.keys() - kept.keys(), "run `python -m tools.catalogs`"
    of_others = {one.message for one in kept.values() if one.places == ("click",)}
    assert not kept.keys() - source.keys() - of_others - {""}, "run `python -m tools.catalogs`"
    assert of_others & messages_of_click().keys()
    assert not [message for message, entry in kept.items() if not all(entry.translations)]


@pytest.mark.parametrize("file", catalogs(), ids=lambda file: file.parents[1].name)
def test_translations_take_the_same_values(file: Path) -> None:
    for entry in entries(file)[1:]:
        wanted = [values_in(text) for text in (entry.message, entry.plural) if text]
        for number, translation in enumerate(entry.translations):
            assert values_in(translation) == wanted[min(number, len(wanted) - 1)], entry.message


@pytest.mark.parametrize("file", catalogs(), ids=lambda file: file.parents[1].name)
def test_translations_keep_the_markup_and_the_ends_of_a_message(file: Path) -> None:
    for entry in entries(file)[1:]:
        for translation in entry.translations:
            assert re.findall("<[^>]*>", translation) == re.findall("<[^>]*>", entry.message)
            assert '"' not in translation  # it may stand in an attribute of the page
            for edge in (0, -1):
                assert translation[edge].isspace() == entry.message[edge].isspace(), entry.message
            assert is_sentence(translation) == is_sentence(entry.message), entry.message


@pytest.mark.parametrize("file", catalogs(), ids=lambda file: file.parents[1].name)
def test_what_is_compiled_is_what_is_written(file: Path) -> None:
    assert file.with_suffix(".mo").read_bytes() == compiled(entries(file))
    with file.with_suffix(".mo").open("rb") as binary:
        read = gettext.GNUTranslations(binary)
    for entry in entries(file)[1:]:
        if entry.plural:
            forms = tuple(read.ngettext(entry.message, entry.plural, n) for n in (1, 2))
            assert forms == entry.translations
        else:
            assert read.gettext(entry.message) == entry.translations[0]


def test_a_catalog_is_written_as_it_is_read() -> None:
    said = [
        HEADER,
        Entry('a\n"b" \\ {c}', "", ("á\n'b' \\ {c}",), ("a.py", "b.py")),
        Entry("one", "many", ("um", "vários"), ("click",)),
        Entry(" long " * 40, "", (" comprido " * 30,)),
        Entry("not yet", "", ("",)),
    ]
    assert read_po(write_po(said)) == said
    assert max(map(len, write_po(said).splitlines())) <= 100


def test_what_is_not_translated_stays_english(tmp_path: Path) -> None:
    file = tmp_path / "some.mo"
    file.write_bytes(compiled([HEADER, Entry("yes", "", ("sim",)), Entry("no", "", ("",))]))
    with file.open("rb") as binary:
        read = gettext.GNUTranslations(binary)
    assert [read.gettext(word) for word in ("yes", "no", "perhaps")] == ["sim", "no", "perhaps"]


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "pt_BR.UTF-8"}, "pt_BR"),
        ({"LANG": "pt_PT.UTF-8@euro"}, "pt_BR"),
        ({"LANG": "pt"}, "pt_BR"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "pt_BR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "pt_BR"}, "pt_BR"),
        ({"LANG": "pt_BR.UTF-8", "LC_ALL": ""}, "pt_BR"),
        ({"LANG": "en_US.UTF-8", UI_LANGUAGE_VARIABLE: "pt_BR"}, "pt_BR"),
        ({"LANG": "pt_BR.UTF-8", UI_LANGUAGE_VARIABLE: "en"}, "en"),
        ({"LANG": "pt_BR.UTF-8", UI_LANGUAGE_VARIABLE: "auto"}, "pt_BR"),
        ({"LANG": "pt_BR.UTF-8", UI_LANGUAGE_VARIABLE: ""}, "pt_BR"),
        ({UI_LANGUAGE_VARIABLE: "pt-br"}, "pt_BR"),
        ({"LANG": "pt_BR.UTF-8", UI_LANGUAGE_VARIABLE: "fr"}, "en"),
    ],
)
def test_the_environment_chooses(
    no_language: pytest.MonkeyPatch, environment: dict[str, str], language: str
) -> None:
    for name, value in environment.items():
        no_language.setenv(name, value)
    assert ui_language() == language
    assert translated(MESSAGE) == (PORTUGUESE if language == "pt_BR" else MESSAGE)


def test_what_is_asked_for_wins_also_in_processes_started_later(
    no_language: pytest.MonkeyPatch,
) -> None:
    no_language.setenv("LC_ALL", "en_US.UTF-8")
    no_language.setenv(UI_LANGUAGE_VARIABLE, "")  # so that it is put back afterwards
    set_ui_language("pt_BR")
    assert translated(MESSAGE) == PORTUGUESE
    assert os.environ[UI_LANGUAGE_VARIABLE] == "pt_BR"
    set_ui_language("auto")
    assert ui_language() == "pt_BR"
    set_ui_language("en")
    assert translated(MESSAGE) == MESSAGE
    with pytest.raises(ValueError, match="'fr'"):
        set_ui_language("fr")


def test_a_function_speaks_its_language_and_nobody_else_does(
    no_language: pytest.MonkeyPatch,
) -> None:
    @in_ui_language
    def said(message: str, ui_language: str = "auto") -> str:
        if not message:
            raise ValueError(translated(MESSAGE))
        return translated(message)

    assert said(MESSAGE) == MESSAGE
    assert said(MESSAGE, "pt_BR") == said(MESSAGE, ui_language="pt_BR") == PORTUGUESE
    with pytest.raises(ValueError, match="verifique"):
        said("", "pt_BR")
    assert UI_LANGUAGE_VARIABLE not in os.environ
    no_language.setenv(UI_LANGUAGE_VARIABLE, "pt_BR")
    assert said(MESSAGE) == PORTUGUESE
    assert said(MESSAGE, "en") == MESSAGE
    assert os.environ[UI_LANGUAGE_VARIABLE] == "pt_BR"


def test_the_empty_message_is_not_the_catalog_s_header(no_language: pytest.MonkeyPatch) -> None:
    no_language.setenv(UI_LANGUAGE_VARIABLE, "pt_BR")
    assert translated("") == ""
    assert translated("not in any catalog") == "not in any catalog"


def test_libraries_that_ask_gettext_speak_it_for_as_long_as_they_should(
    no_language: pytest.MonkeyPatch,
) -> None:
    no_language.setenv(UI_LANGUAGE_VARIABLE, "pt_BR")
    with libraries_speak_it():
        assert gettext.gettext("Missing argument") == "Falta o argumento"
    assert gettext.gettext("Missing argument") == "Missing argument"
    assert gettext.textdomain() == "messages"
    assert "LANGUAGE" not in os.environ
    no_language.setenv(UI_LANGUAGE_VARIABLE, "en")
    no_language.setenv("LANGUAGE", "pt_BR")
    with libraries_speak_it():
        assert gettext.gettext("Missing argument") == "Missing argument"
    assert os.environ["LANGUAGE"] == "pt_BR"


def test_the_catalogs_lie_in_the_package() -> None:
    assert catalog.LOCALES.is_relative_to(Path(catalog.__file__).parent)
