"""The web application's database: SQLite on this machine, or PostgreSQL by its URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from longscribe.errors import ServerError
from longscribe.web.tables import SchemaVersion, Table
from longscribe.wording.catalog import translated

# Counted up with every change of a table that is there; tables that are new are made by themselves.
SCHEMA_VERSION: Final = 1
_BUSY_TIMEOUT_MS: Final = 30_000
_POSTGRESQL: Final = "postgresql+psycopg"


class Database:
    """Opens sessions; threads may share it.

    Args:
        url: of SQLAlchemy: `sqlite:///...` or `postgresql://...`.

    Raises:
        ServerError: it cannot be opened, or is newer than this version.
    """

    def __init__(self, url: str) -> None:
        try:
            self.engine = _engine(url)
            self._sessions = sessionmaker(self.engine, expire_on_commit=False)
            self._prepare()
        except (ArgumentError, ImportError, OperationalError, OSError) as error:
            why = str(getattr(error, "orig", None) or error).partition("\n")[0].rstrip(".")
            sentence = translated("the database of the web application cannot be opened: {why}.")
            raise ServerError(sentence.format(why=why)) from None

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back by an exception."""
        with self._sessions.begin() as session:
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite's."""
        return self.engine.dialect.name == "sqlite"

    def _prepare(self) -> None:
        is_new = not inspect(self.engine).has_table(SchemaVersion.__tablename__)
        Table.metadata.create_all(self.engine)
        with self.begin() as session:
            found = session.scalar(select(SchemaVersion.version))
            if is_new and found is None:
                session.add(SchemaVersion(version=SCHEMA_VERSION))
            elif found is not None and found > SCHEMA_VERSION:
                sentence = translated(
                    "the database of the web application is of version {found}, and this "
                    "Longscribe knows {known}; install the later one."
                )
                raise ServerError(sentence.format(found=found, known=SCHEMA_VERSION))


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername=_POSTGRESQL)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # Readers do not wait for a writer; what is committed survives a kill.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # what is deleted is not in the file any more
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.close()
