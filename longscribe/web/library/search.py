"""Words over all transcripts: passages are kept beside them, and found by the database's index."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import delete, func, literal_column, or_, select, text
from sqlalchemy.orm import Session as Db

from longscribe.transcript import Transcript
from longscribe.web.callers import Caller
from longscribe.web.library.tables import Indexed, Passage
from longscribe.web.tables import Recording, Share

_PASSAGE_CHARS: Final = 300
_PASSAGES_OF_ONE: Final = 3  # shown of one recording
_MOST_WORDS: Final = 12  # of a query
_LONGEST_QUERY: Final = 200
# Signs of scripts without spaces are words of their own, so that a word among them is found.
_UNSPACED: Final = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])"
)
_TOKEN: Final = re.compile(r"\w+")


class Hit(NamedTuple):
    """A passage that was found.

    Attributes:
        start_s: where it begins; None for a title.
        parts: its text in pieces, each with whether it is what was looked for.
    """

    start_s: float | None
    parts: list[tuple[str, bool]]


class Found(NamedTuple):
    """A recording in which something was found."""

    recording: Recording
    hits: list[Hit]


def folded(written: str) -> str:
    """A text as it is searched: lower case, without accents, signs of unspaced scripts apart."""
    plain = unicodedata.normalize("NFKD", written.casefold())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(_TOKEN.findall(_UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", plain))))


def put_into_index(db: Db, recording: Recording, transcript: Transcript, version: int) -> None:
    """Keep the passages of a transcript, in the place of those of an earlier version."""
    remove_from_index(db, recording.id)
    db.add_all(
        Passage(recording_id=recording.id, start_s=start_s, text=said, words=folded(said))
        for start_s, said in ((None, recording.title), *_passages(transcript))
    )
    db.add(Indexed(recording_id=recording.id, version=version))
    db.flush()


def retitle(db: Db, recording: Recording) -> None:
    """Let a recording be found by another title; one that is not indexed yet will be."""
    if db.get(Indexed, recording.id) is None:
        return
    of_title = (Passage.recording_id == recording.id, Passage.start_s.is_(None))
    db.execute(delete(Passage).where(*of_title))
    title = recording.title
    db.add(Passage(recording_id=recording.id, start_s=None, text=title, words=folded(title)))
    db.flush()


def remove_from_index(db: Db, recording_id: str) -> None:
    """Forget a recording's passages."""
    db.execute(delete(Passage).where(Passage.recording_id == recording_id))
    db.execute(delete(Indexed).where(Indexed.recording_id == recording_id))


def _passages(transcript: Transcript) -> Iterator[tuple[float, str]]:
    start_s, said = 0.0, ""
    for segment in transcript.segments:
        if not said:
            start_s = segment.start
        said += segment.text
        if len(said) >= _PASSAGE_CHARS:
            yield start_s, said.strip()
            said = ""
    if said.strip():
        yield start_s, said.strip()


def search(db: Db, caller: Caller, asked: str, limit: int = 50) -> list[Found]:
    """The caller's recordings in which all words are said in one passage, the latest first.

    Args:
        db: of the database.
        caller: who may read them.
        asked: words; the last may be only the beginning of one. Nothing in it is a sign of the
            database's own.
        limit: passages at most.
    """
    words = folded(asked[:_LONGEST_QUERY]).split()[:_MOST_WORDS]
    if not words:
        return []
    query = select(Passage, Recording).join(Recording, Recording.id == Passage.recording_id)
    if not caller.sees_all:
        shared = select(Share.recording_id).where(Share.user_id == caller.user.id)
        query = query.where(or_(Recording.user_id == caller.user.id, Recording.id.in_(shared)))
    if db.get_bind().dialect.name == "sqlite":
        rows = text("SELECT rowid FROM passage_words WHERE passage_words MATCH :words").bindparams(
            words=" ".join(f'"{word}"' for word in words) + "*"
        )
        query = query.where(Passage.id.in_(rows.columns(literal_column("rowid"))))
    else:
        wanted = func.to_tsquery("simple", " & ".join(words) + ":*")
        has = func.to_tsvector(literal_column("'simple'"), Passage.words).op("@@")(wanted)
        query = query.where(has)
    query = query.order_by(Passage.id.desc()).limit(limit)
    found: dict[str, Found] = {}
    for passage, recording in db.execute(query).tuples():
        one = found.setdefault(recording.id, Found(recording, []))
        one.hits.append(Hit(passage.start_s, marked(passage.text, words)))
    for one in found.values():
        one.hits.sort(key=lambda hit: -1.0 if hit.start_s is None else hit.start_s)
        del one.hits[_PASSAGES_OF_ONE:]
    return list(found.values())


def marked(said: str, words: Sequence[str]) -> list[tuple[str, bool]]:
    """A text in pieces, each with whether it is one of the words; the last may go on."""
    pattern = _UNSPACED if any(_UNSPACED.fullmatch(word) for word in words) else _TOKEN
    parts: list[tuple[str, bool]] = []
    end = 0
    for match in pattern.finditer(said):
        told = folded(match[0])
        if told in words or told.startswith(words[-1]):
            parts += [(said[end : match.start()], False), (match[0], True)]
            end = match.end()
    return [part for part in (*parts, (said[end:], False)) if part[0]]
