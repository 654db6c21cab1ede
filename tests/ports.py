"""Ports for servers that a test starts, and starts again."""

import random
import socket
from pathlib import Path

_LOWEST = 10_000


def free_port() -> int:
    """A port of this machine that nobody has.

    Below those that the kernel gives to connections: while a server is away, a client that tries
    to reach it could be given its port, be connected with itself, and keep the server away.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    while True:
        port = random.randrange(_LOWEST, int(given.split()[0]))
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
