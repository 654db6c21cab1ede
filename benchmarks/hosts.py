"""Several hosts on one machine, as network namespaces with addresses of their own.

Each has a virtual Ethernet card on one switch, and nothing else: no file of another's folder, no
loopback of another's. Needs root, and `ip` of iproute2.

    python -m benchmarks.hosts 3 -- COMMAND    # runs it in the first of three, then removes them
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

_NET: Final = "10.77.{net}.{host}"


class Host(NamedTuple):
    """One of them: the name of its namespace, and its address."""

    name: str
    address: str

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs there."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def start(self, arguments: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
        """A process that runs there."""
        return subprocess.Popen(self.command(*arguments), text=True, **options)

    def unplug(self) -> None:
        """Take its cable out: connections are not closed, nothing comes through."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def plug(self) -> None:
        """Put its cable in again."""
        _ip("-n", self.name, "link", "set", "eth0", "up")


def can_make_hosts() -> bool:
    """Whether this process may make network namespaces."""
    name = f"longscribe-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    _ip("netns", "delete", name)
    return True


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts on one switch, removed after the block with whatever still runs there."""
    net = os.getpid() % 200 + 20
    mark = f"ls{os.getpid()}"
    switch = f"{mark}-sw"
    made = [
        Host(f"{mark}-{number}", _NET.format(net=net, host=number))
        for number in range(1, count + 1)
    ]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "sw", "type", "bridge")
        _ip("-n", switch, "link", "set", "sw", "up")
        for number, host in enumerate(made, start=1):
            _ip("netns", "add", host.name)
            _ip("-n", switch, "link", "add", f"port{number}", "type", "veth", "peer", "eth0")
            _ip("-n", switch, "link", "set", "eth0", "netns", host.name)
            _ip("-n", switch, "link", "set", f"port{number}", "master", "sw", "up")
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "link", "set", "eth0", "up")
        yield made
    finally:
        for name in [*(host.name for host in made), switch]:
            with suppress(OSError, subprocess.CalledProcessError):
                pids = _ip("netns", "pids", name).split()
                subprocess.run(["kill", "-9", *pids], check=False) if pids else None
            with suppress(OSError, subprocess.CalledProcessError):
                _ip("netns", "delete", name)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """Run a command in the first of some hosts."""
    count, dashes, *command = arguments
    assert dashes == "--"
    with hosts(int(count)) as made:
        print(*(f"{host.name} {host.address}" for host in made), sep="\n", flush=True)
        return subprocess.run(made[0].command(*command), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
