"""The server's SQLite has one writer at a time, instead of errors and clients that try again.

Prefect begins its transactions DEFERRED: one that reads first and writes then fails at once
("database is locked") where another wrote in between, whatever the time that it would wait. The
server answers 503, and its client asks again after two seconds: in the start of a run that somebody
waits for. One such place has its issue, https://github.com/PrefectHQ/prefect/issues/23051. So here
transactions begin IMMEDIATE, one after the other. With PostgreSQL nothing of this is needed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final
from weakref import WeakKeyDictionary

from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

# Who waits for longer leaves it to SQLite to find them a turn.
_WAITS_FOR_S: Final = 10.0
# A task that was begun within a transaction, which may wait for that task.
_CHILD_WAITS_FOR_S: Final = 1.0


class _Writer:
    """Somebody's turn, and whose."""

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self.is_at_it = True


_writer: ContextVar[_Writer | None] = ContextVar("_writer", default=None)


@contextmanager
def one_writer_at_a_time() -> Iterator[None]:
    """While the block lasts, the transactions of a server in this process take turns."""
    as_before = AioSqliteConfiguration.begin_transaction
    locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @asynccontextmanager
    async def begin_transaction(
        self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncIterator[AsyncSessionTransaction]:
        lock = locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        outer = _writer.get()
        is_within = outer is not None and outer.is_at_it
        has_turn = False
        if not is_within:
            has_turn = await _turn(lock, _WAITS_FOR_S)
        elif outer is not None and outer.task is not asyncio.current_task():
            has_turn = await _turn(lock, _CHILD_WAITS_FOR_S)
        if is_within and not has_turn:  # it would wait for itself
            async with as_before(self, session, with_for_update) as transaction:
                yield transaction
            return
        writer = _Writer()
        token = _writer.set(writer)
        try:
            async with as_before(self, session, with_for_update=True) as transaction:
                yield transaction
        finally:
            writer.is_at_it = False
            _writer.reset(token)
            if has_turn:
                lock.release()

    AioSqliteConfiguration.begin_transaction = begin_transaction  # type: ignore[method-assign]
    try:
        yield
    finally:
        AioSqliteConfiguration.begin_transaction = as_before  # type: ignore[method-assign]


async def _turn(lock: asyncio.Lock, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await lock.acquire()
    except TimeoutError:
        return False
