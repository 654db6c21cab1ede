"""What the library keeps beside the application's own tables: passages, to be searched."""

from typing import Final

from sqlalchemy import DDL, ForeignKey, Index, Text, event
from sqlalchemy.orm import Mapped, mapped_column

from longscribe.web.tables import Table


class Passage(Table):
    """A few sentences of a transcript, or a recording's title.

    Attributes:
        start_s: in the recording; None for the title.
        text: as people read it.
        words: the same as they are searched: see `folded`.
    """

    __tablename__ = "passages"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    start_s: Mapped[float | None]
    text: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("passages_of_recording", "recording_id"),)


class Indexed(Table):
    """A recording whose passages are there, of which version."""

    __tablename__ = "indexed"

    recording_id: Mapped[str] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int]


# SQLite's own full text search, over the column `words`; triggers keep it up to date.
_SQLITE: Final = (
    "CREATE VIRTUAL TABLE passage_words USING fts5(words, content='passages', content_rowid='id',"
    " tokenize='unicode61')",
    "CREATE TRIGGER passages_added AFTER INSERT ON passages BEGIN"
    " INSERT INTO passage_words(rowid, words) VALUES (new.id, new.words); END",
    "CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN"
    " INSERT INTO passage_words(passage_words, rowid, words)"
    " VALUES ('delete', old.id, old.words); END",
)
_POSTGRESQL: Final = (
    "CREATE INDEX passages_words ON passages USING gin (to_tsvector('simple', words))"
)


def _made_with(statement: str, dialect: str) -> None:
    ddl: DDL = DDL(statement)  # type: ignore[no-untyped-call]  # SQLAlchemy's
    event.listen(Passage.__table__, "after_create", ddl.execute_if(dialect=dialect))


for _statement in _SQLITE:
    _made_with(_statement, "sqlite")
_made_with(_POSTGRESQL, "postgresql")
