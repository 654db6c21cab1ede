from pathlib import Path

import pytest

from longscribe.errors import OptionError
from longscribe.text.glossary import Spelling, read_glossary


def applied(entry: str, text: str) -> str:
    (spelling,) = read_glossary([entry])
    return spelling.pattern.sub(spelling.wanted, text)


def test_a_spelling_matches_any_case_spacing_and_hyphens() -> None:
    assert applied("Longscribe", "the long scribe and LONG-SCRIBE") == (
        "the Longscribe and Longscribe"
    )
    assert applied("Longscribe", "longscribes long scribers") == "longscribes long scribers"


def test_heard_and_wanted() -> None:
    assert applied("pre fact => Prefect", "we use pre fact and prefact") == (
        "we use Prefect and Prefect"
    )


def test_accents_and_punctuation() -> None:
    assert applied("São Paulo", "em são paulo.") == "em São Paulo."
    assert applied("C++", "we write c++ here") == "we write C++ here"


@pytest.mark.parametrize(
    ("entry", "text", "becomes"),
    [
        ("O'Brien", "Ask o\u2019brien or O\u02bcBrien.", "Ask O'Brien or O'Brien."),
        ("D\u2019Artagnan", "d'artagnan", "D\u2019Artagnan"),
        ("we're", "were", "were"),
        ("Saint-Denis", "saint\u2011denis, saint\u2013denis", "Saint-Denis, Saint-Denis"),
        ("Saint\u2011Denis", "saint-denis saintdenis", "Saint\u2011Denis Saint\u2011Denis"),
        ("Jos\u00e9", "jose\u0301 y jos\u00e9", "Jos\u00e9 y Jos\u00e9"),
        ("Jose\u0301", "JOS\u00c9", "Jos\u00e9"),
        ("Jose", "jos\u00e9 jose\u0301", "jos\u00e9 jose\u0301"),  # another name
        ("林木", "我是林木。", "我是林木。"),
        ("鈴木 => 須々木", "私は鈴木です", "私は須々木です"),
        ("กรุง => X", "ที่กรุงเทพ", "ที่Xเทพ"),
        ("Иван", "иван иванов", "Иван иванов"),
        ("דוד => D", "דוד דודי", "D דודי"),
    ],
)  # fmt: skip
def test_every_script_apostrophe_hyphen_and_form_of_an_accent(
    entry: str, text: str, becomes: str
) -> None:
    assert applied(entry, text) == becomes


def test_files_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("\ufeff# people\nAna\n\nbe a triz => Beatriz\n", encoding="utf-8")
    assert read_glossary([str(path), "Omar"]) == (
        Spelling(heard="Ana", wanted="Ana"),
        Spelling(heard="be a triz", wanted="Beatriz"),
        Spelling(heard="Omar", wanted="Omar"),
    )


def test_an_entry_longer_than_a_file_s_name_is_a_spelling() -> None:
    (spelling,) = read_glossary(["x" * 5000])
    assert spelling.wanted == "x" * 5000


def test_bad_entries(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot read"):
        read_glossary([str(tmp_path / "missing.txt")])
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match="UTF-8"):
        read_glossary([str(tmp_path / "bytes.txt")])
    for entry in ("=> x", "x =>", "- =>"):
        with pytest.raises(OptionError, match="heard => wanted"):
            read_glossary([entry])
