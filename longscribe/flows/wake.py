"""A word to the workers of this machine that a run waits for them.

A worker asks the server every second or two whether there is something to do, each time with a
write to its database. Whoever has just started a run tells it to ask now.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prefect.settings import PREFECT_HOME


def _folder() -> Path:
    return Path(PREFECT_HOME.value()) / "wake"


def wake(queue: str) -> None:
    """Tell the workers of a queue, as far as there are any here; the others look by themselves."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as word:
        word.setblocking(False)
        for file in _folder().glob(f"{queue}-*"):
            try:
                word.sendto(b"\n", str(file))
            except ConnectionRefusedError:  # its worker was killed
                file.unlink(missing_ok=True)
            except OSError:
                continue


class _Words(asyncio.DatagramProtocol):
    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._told()


async def listen(
    queues: Iterable[str], name: str, told: Callable[[], None]
) -> list[asyncio.DatagramTransport]:
    """Have `told` called for each word to one of the queues, until the transports are closed.

    Args:
        queues: of the worker.
        name: that no other process here has.
        told: called in the running loop.

    Returns:
        what listens; nothing where that cannot be had, as where the path is too long.
    """
    transports = []
    for queue in queues:
        file = _folder() / f"{queue}-{name}"
        with suppress(OSError):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                listening.bind(str(file))
            except OSError:
                listening.close()
                raise
            listening.setblocking(False)
            loop = asyncio.get_running_loop()
            made = await loop.create_datagram_endpoint(lambda: _Words(told), sock=listening)
            transports.append(made[0])
    return transports
