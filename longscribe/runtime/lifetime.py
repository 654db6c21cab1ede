"""What a process asks of the kernel: to end with the one that started it, and its name."""

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_PR_SET_NAME: Final = 15


def end_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the parent's thread that started it ends.

    The thread, not the process: it has to last as long as this one may.

    Args:
        parent_pid: the parent; if that is gone already, this process ends here.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def show_as(name: str) -> None:
    """Give this process a name for `ps` and `top`, of 15 characters at most."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())
