"""`python -m tools.catalogs`: bring the catalogs of messages up to date with the source.

Messages are found where the source marks them: `translated("...")` and `translatable("...")` in
Python, `translated("...")` in the page's scripts, `_("...")` in its template; and the names of
languages. New ones are added to the .po files with an empty translation, those that are gone are
taken out, and the .mo files are written. Translations are made by hand, in the .po files.
"""

import ast
import json
import re
import struct
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from longscribe.languages import LANGUAGES
from longscribe.wording.catalog import DOMAIN, LOCALES

PACKAGE: Final = Path(__file__).resolve().parents[1] / "longscribe"

_MARKS: Final = ("translated", "translatable")
_MARKED: Final = {
    ".js": re.compile(r"""\btranslated\(("(?:[^"\\]|\\.)*")"""),
    ".html": re.compile(r"""\b_\(("(?:[^"\\]|\\.)*")\)"""),
}
_OF_LANGUAGES: Final = "languages.py"
_OF_CLICK: Final = "click"  # its sentences that people meet are in our catalog

_MAGIC: Final = 0x950412DE  # of .mo files: GNU gettext's manual, "The Format of GNU MO Files"
_MO_HEADER: Final = struct.Struct("<7I")
_MO_ENTRY: Final = struct.Struct("<2I")  # length, offset
_LINE: Final = 90


class Entry(NamedTuple):
    """A message of a catalog.

    Attributes:
        message: in English; empty for the catalog's own header.
        plural: in English, where a number decides which is said.
        translations: one, or one for each form of the language's plural.
        places: files of the source, or a library.
    """

    message: str
    plural: str
    translations: tuple[str, ...]
    places: tuple[str, ...] = ()


def catalogs() -> list[Path]:
    """The .po files."""
    return sorted(LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def messages_in_source(package: Path = PACKAGE) -> dict[str, list[str]]:
    """Message -> the files that have it, in the order of the files."""
    found: dict[str, list[str]] = {}
    for file in sorted(package.rglob("*")):
        place = file.relative_to(package).as_posix()
        for message in _messages_of(file):
            places = found.setdefault(message, [])
            if place not in places:
                places.append(place)
    for name in LANGUAGES.values():
        found.setdefault(name, [_OF_LANGUAGES])
    return found


def messages_of_click() -> dict[str, str]:
    """What click itself may say -> its plural, or nothing."""
    found: dict[str, str] = {}
    for file in sorted(Path(click.__file__).parent.glob("*.py")):
        for name, literals in _calls(file, ("_", "ngettext")):
            if literals:
                found[literals[0]] = literals[1] if name == "ngettext" else ""
    return found


def read_po(text: str) -> list[Entry]:
    """The entries of a .po file."""
    entries: list[Entry] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        strings: dict[str, str] = {}
        places: list[str] = []
        key = ""
        for line in block.splitlines():
            if line.startswith("#"):
                places += line.removeprefix("#:").split() if line.startswith("#:") else []
                continue
            head, quote, rest = line.partition('"')
            key = head.strip() or key
            strings[key] = strings.get(key, "") + json.loads(quote + rest)
        if strings:
            forms = tuple(value for key, value in strings.items() if key.startswith("msgstr"))
            plural = strings.get("msgid_plural", "")
            entries.append(Entry(strings["msgid"], plural, forms, tuple(places)))
    return entries


def write_po(entries: Iterable[Entry]) -> str:
    """A .po file with these entries."""
    blocks = []
    for entry in entries:
        lines = [f"#: {place}" for place in entry.places]
        lines += _quoted("msgid", entry.message)
        if entry.plural:
            lines += _quoted("msgid_plural", entry.plural)
            for number, form in enumerate(entry.translations):
                lines += _quoted(f"msgstr[{number}]", form)
        else:
            lines += _quoted("msgstr", entry.translations[0])
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def compiled(entries: Iterable[Entry]) -> bytes:
    """The same as a .mo file; what is not translated is left out."""
    pairs = sorted(
        (
            "\0".join(filter(None, (entry.message, entry.plural))).encode(),
            "\0".join(entry.translations).encode(),
        )
        for entry in entries
        if all(entry.translations)
    )
    count = len(pairs)
    keys_at = _MO_HEADER.size
    values_at = keys_at + count * _MO_ENTRY.size
    offset = values_at + count * _MO_ENTRY.size
    tables, strings = b"", b""
    for column in zip(*pairs, strict=True):
        for text in column:
            tables += _MO_ENTRY.pack(len(text), offset + len(strings))
            strings += text + b"\0"
    # No hash table, which readers need not have.
    header = _MO_HEADER.pack(_MAGIC, 0, count, keys_at, values_at, 0, offset)
    return header + tables + strings


def updated(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that the source has, in its order, with what is translated already."""
    known = {entry.message: entry for entry in entries}
    of_click = messages_of_click()
    made = [known[""]._replace(places=())]
    for message, places in messages_in_source().items():
        before = known.get(message, Entry(message, "", ("",)))
        made.append(before._replace(places=tuple(places)))
    there = {entry.message for entry in made}
    for entry in known.values():
        if entry.message in of_click and entry.message not in there:
            made.append(entry._replace(places=(_OF_CLICK,)))
    return made


def main() -> None:
    """Bring all catalogs up to date, and say what is not translated."""
    for file in catalogs():
        entries = updated(read_po(file.read_text(encoding="utf-8")))
        file.write_text(write_po(entries), encoding="utf-8")
        file.with_suffix(".mo").write_bytes(compiled(entries))
        missing = [entry.message for entry in entries if not all(entry.translations)]
        click.echo(f"{file}: {len(entries) - 1} messages, {len(missing)} not translated")
        for message in missing:
            click.echo(f"  {message}")


def _messages_of(file: Path) -> Iterator[str]:
    if file.suffix == ".py":
        for _, literals in _calls(file, _MARKS):
            yield from literals[:1]
    elif pattern := _MARKED.get(file.suffix):
        for literal in pattern.findall(file.read_text(encoding="utf-8")):
            yield json.loads(literal)


def _calls(file: Path, names: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Calls of functions of these names in a file of Python, each with its literal texts."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(call.func, ast.Name) and call.func.id in names:
            values: list[Any] = [getattr(argument, "value", None) for argument in call.args]
            yield call.func.id, [value for value in values if isinstance(value, str)]


def _quoted(key: str, text: str) -> list[str]:
    """A string of a .po file, on several lines where it is long."""
    if len(key) + len(text) < _LINE and "\n" not in text.rstrip("\n"):
        return [f"{key} {json.dumps(text, ensure_ascii=False)}"]
    pieces = [
        piece
        for line in text.splitlines(keepends=True)
        for piece in textwrap.wrap(
            line,
            _LINE,
            drop_whitespace=False,
            replace_whitespace=False,
            expand_tabs=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
    assert "".join(pieces) == text
    return [f'{key} ""', *(json.dumps(piece, ensure_ascii=False) for piece in pieces)]


if __name__ == "__main__":
    main()
