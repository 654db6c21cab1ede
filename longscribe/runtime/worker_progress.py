"""What a worker has got done, counted where the run's own process can read it.

On a loaded machine a worker is slow, and one that turns in circles is busy: only what it finishes
tells them apart. So it counts small pieces of its work, each a second or less of a core: a layer of
a network for a window or a token, a matrix that is converted, a pass of a kernel's compiler.
"""

from collections.abc import Callable
from ctypes import c_uint64

_count = c_uint64()  # outside of a worker nobody reads it
_is_wanted: Callable[[], bool] | None = None


class Unwanted(BaseException):
    """Nobody waits for what this thread works on; not an error, which would be tried again."""


def count_in(count: c_uint64, is_wanted: Callable[[], bool] | None = None) -> None:
    """In a worker: count from now on in memory that the run's process shares.

    Args:
        count: the memory.
        is_wanted: asked at every piece of the work; where it says no, the work ends with
            `Unwanted`. For workers that cannot be killed for it, as they are not the run's own.
    """
    global _count, _is_wanted
    _count, _is_wanted = count, is_wanted


def advance() -> None:
    """A piece of the work is done.

    Raises:
        Unwanted: there is no need to go on.
    """
    _count.value += 1
    if _is_wanted is not None and not _is_wanted():
        raise Unwanted
