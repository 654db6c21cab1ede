"""Transactions of the server's SQLite that read first and write then."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from longscribe.flows import sqlite_writer
from longscribe.flows.sqlite_writer import one_writer_at_a_time

MANY = 8


class Database:
    """A number in a database of Prefect's kind."""

    def __init__(self, file: Path) -> None:
        self._configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{file}")

    async def do(self, work: Callable[["Database"], Awaitable[None]]) -> int:
        engine = await self._configuration.engine()
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE counted (number INTEGER)"))
            await connection.execute(text("INSERT INTO counted VALUES (0)"))
        try:
            await work(self)
            async with engine.connect() as connection:
                found = await connection.execute(text("SELECT number FROM counted"))
                return int(found.scalar_one())
        finally:
            await engine.dispose()

    async def count(self, inside: Callable[[], Awaitable[None]] | None = None) -> None:
        """Read the number, and write it when others have had time to do so."""
        session = await self._configuration.session(await self._configuration.engine())
        async with session, self._configuration.begin_transaction(session):
            read = await session.execute(text("SELECT number FROM counted"))
            number = int(read.scalar_one())
            await asyncio.sleep(0.05)
            if inside is not None:
                await inside()
            values = {"number": number + 1}
            await session.execute(text("UPDATE counted SET number = :number"), values)


async def all_at_once(database: Database) -> None:
    done = await asyncio.gather(*(database.count() for _ in range(MANY)), return_exceptions=True)
    for one in done:
        if one is not None:
            raise one


def test_transactions_at_once_all_come_through(tmp_path: Path) -> None:
    with one_writer_at_a_time():
        assert asyncio.run(Database(tmp_path / "a.sqlite").do(all_at_once)) == MANY
    # What it is for: as Prefect has it, one of two fails.
    with pytest.raises(OperationalError, match="locked"):
        asyncio.run(Database(tmp_path / "b.sqlite").do(all_at_once))


def test_one_within_another_does_not_wait_for_it(tmp_path: Path) -> None:
    async def read() -> None:
        session = await database._configuration.session(await database._configuration.engine())
        async with session, database._configuration.begin_transaction(session):
            await session.execute(text("SELECT number FROM counted"))

    async def work(_: Database) -> None:
        later = []

        async def begin_something() -> None:
            await read()
            later.append(asyncio.create_task(database.count()))  # it has a turn of its own
            await asyncio.sleep(0)

        await database.count(begin_something)
        await asyncio.gather(database.count(), *later)

    database = Database(tmp_path / "a.sqlite")
    with one_writer_at_a_time():
        assert asyncio.run(asyncio.wait_for(database.do(work), 5)) == 3


def test_who_waits_for_long_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "_WAITS_FOR_S", 0.1)

    async def work(database: Database) -> None:
        other = asyncio.create_task(database.count(lambda: asyncio.sleep(0.3)))
        await asyncio.sleep(0)
        await database.count()
        await other

    with one_writer_at_a_time():
        assert asyncio.run(Database(tmp_path / "a.sqlite").do(work)) == 2
